"""Ctrl-C and SIGTERM while libraries are loaded: one line, status 130 or 143, for every script; afterwards what is half
done is cleaned up. The libraries here send the signal themselves, so that nothing depends on a clock."""

import ast
import os
import subprocess
import sys

import pytest

from tests.helpers.synth import ROOT

SCRIPTS = {"separate.py": ["x.wav"], "train.py": ["--train_dir", "x", "--save_folder", "y"],
           "eval.py": ["--model_path", "x.ckpt", "--data_dir", "x"], "export.py": ["--ckpt_path", "x.ckpt"],
           "convert.py": ["--from_asteroid", "x.pth", "--out", "y.ckpt"],
           "mix.py": ["--speech_dir", "x", "--out_dir", "y"], "preprocess.py": ["--in_dir", "x", "--out_dir", "y"],
           "serve.py": [], "scripts/collect_wavs.py": ["--model", "x", "--data_dir", "x", "--out_dir", "y"]}
ROOT_SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))

SIGNALLED = """
import os, signal, time
target = os.getpgid(0) if {group} else os.getpid()
(os.killpg if {group} else os.kill)(target, signal.{name})
time.sleep(1)
raise ImportError("initialization failed")
"""


def library(folder, name, group=False, module="numpy"):
    """A stand-in for a library that is interrupted while it is loaded; returns a PYTHONPATH."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(SIGNALLED.format(name=name, group=group))
    return str(folder)


def start(command, path, folder):
    environment = os.environ | {"PYTHONPATH": f"{path}:{ROOT}", "DEVICE_TARGET": "CPU", "PYTHON": sys.executable}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60,
                          start_new_session=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c(script, tmp_path):
    path = library(tmp_path, "SIGINT")
    done = start([sys.executable, ROOT / script, *SCRIPTS[script]], path, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert not (tmp_path / "y").exists()


def test_sigterm(tmp_path):
    done = start([sys.executable, ROOT / "eval.py", *SCRIPTS["eval.py"]], library(tmp_path, "SIGTERM"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "terminated\n")


def test_ctrl_c_reaches_a_bash_script_and_its_tee(tmp_path):
    path = library(tmp_path, "SIGINT", group=True)
    done = start(["bash", ROOT / "scripts" / "run_eval.sh", "0", "x.ckpt", "x"], path, tmp_path)
    assert (done.returncode, done.stdout) == (130, "interrupted\n"), done.stderr
    assert (tmp_path / "eval.log").read_text() == "interrupted\n"


@pytest.mark.parametrize("module", ["distributed", "container"])
def test_a_module_that_is_run(module, tmp_path):
    path = library(tmp_path, "SIGINT", module={"distributed": "psutil", "container": "yaml"}[module])
    done = start([sys.executable, "-m", f"src.{module}", "train"], path, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_nothing_is_loaded_before_the_handler_is_there():
    """At the level of the module a root script imports run_cli and nothing else: what comes before has no handler."""
    assert set(ROOT_SCRIPTS) <= set(SCRIPTS)
    for name in ROOT_SCRIPTS:
        body = ast.parse((ROOT / name).read_text(encoding="utf-8")).body
        imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert [getattr(node, "module", None) for node in imports] == ["src.core.errors"], name
    loaded = subprocess.run([sys.executable, "-c", "import sys, src.core.errors; print(*sys.modules)"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if name.startswith("src.")} == {"src.core", "src.core.errors", "src.core.signals"}
    assert not {"numpy", "yaml", "json", "argparse"} & set(loaded)


WORK = """
import sys
from src.core.errors import run_cli

def main(argv):
    from src.core.signals import work_begins
    work_begins()
    try:
        import late
        print("the import was broken off")
    finally:
        import sys
        print("cleaned up", late.loaded)

run_cli(main)
"""


@pytest.mark.parametrize("name, status, line", [("SIGINT", 130, "interrupted\n"), ("SIGTERM", 143, "")])
def test_once_there_is_work_an_import_is_finished_first(name, status, line, tmp_path):
    (tmp_path / "late.py").write_text(f"import os, signal, time\nos.kill(os.getpid(), signal.{name})\n"
                                      "time.sleep(0.2)\nloaded = True\n")
    (tmp_path / "work.py").write_text(WORK)
    done = start([sys.executable, tmp_path / "work.py"], str(tmp_path), tmp_path)
    assert done.returncode == status and done.stderr == line, done.stderr
    assert done.stdout.splitlines()[-1] == "cleaned up True"


def test_a_job_in_the_background_goes_on(tmp_path):
    (tmp_path / "work.py").write_text("import os, signal\nfrom src.core.errors import run_cli\n"
                                      "run_cli(lambda argv: os.kill(os.getpid(), signal.SIGINT) or print('done'))\n")
    done = subprocess.run(["bash", "-c", f"trap '' INT; {sys.executable} work.py"], cwd=tmp_path, capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")

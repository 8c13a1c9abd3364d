"""README's own commands, in the order of the page, in a folder that looks like the repository."""

import importlib.util
import json
import shutil
import signal

import pytest
import soundfile

from tests.helpers.documents import read_page
from tests.helpers.synth import ROOT, run

# what makes a command short: fewer steps, fewer utterances
SHORTER = {"train.py": ["--max_steps", "2", "--device_target", "CPU"],
           "eval.py": ["--max_utterances", "2", "--num_workers", "1", "--examples", "1", "--device_target", "CPU"],
           "export.py": ["--device_target", "CPU"], "separate.py": ["--device_target", "CPU"]}
NOT_HERE = {"python3.11", "source", "pip",  # an environment, which the tests have
            "serve.py",  # tests/system/test_serve.py starts it
            "scripts/quickstart.sh", "scripts/run_tests.sh"}  # the first runs the same programs, the second this test
LONG = {"scripts/run_infer_310.sh"}


def commands():
    """(program or script, arguments) of every command of README, in order."""
    for words in read_page("README.md").commands:
        yield (words[1], words[2:]) if words[0] in ("python", "bash") else (words[0], words[1:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The repository's data below a folder of its own, and a recording to separate."""
    root = tmp_path_factory.mktemp("readme")
    for name in ("samples", "checkpoints", "configs"):
        (root / name).symlink_to(ROOT / name)
    mixture = sorted((ROOT / "samples" / "test" / "mix_clean").iterdir())[0]
    samples, rate = soundfile.read(mixture)
    soundfile.write(root / "meeting.mp3", samples, rate)
    return root


@pytest.fixture
def inside(folder, monkeypatch):
    """Work in the folder; signal handlers are as before afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(folder)
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)


def main_of(script):
    """The ``main`` of a root script."""
    spec = importlib.util.spec_from_file_location(f"readme_{script[:-3]}", ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.slow
def test_commands_of_the_readme_run(inside, capsys):
    ran = set()
    for script, arguments in commands():
        if script in NOT_HERE | LONG:
            continue
        assert not main_of(script)(arguments + SHORTER.get(script, [])), script
        ran.add(script)
    assert {"separate.py", "preprocess.py", "train.py", "eval.py", "export.py"} <= ran
    for name in ("separated/meeting_s1.wav", "separated/meeting_s2.wav", "outputs/demo/best.ckpt",
                 "outputs/demo/best.mindir", "outputs/eval/report.html",
                 *(f"data/{subset}/manifest.json" for subset in ("train", "dev", "test"))):
        assert (inside / name).is_file(), name
    shown, stated = capsys.readouterr().out, {first_words(line) for line in printed_table()}
    assert {first_words(line) for line in shown.splitlines()} >= stated, "the table has the rows that README shows"
    assert json.loads((inside / "outputs" / "eval" / "metrics.json").read_text())["utterances"] == 2


def printed_table():
    """Rows of the table that README shows after eval.py, without the line of the mean."""
    table = next(lines for language, lines in read_page("README.md").blocks if lines[0].startswith("40 utterances"))
    return table[1:]


def first_words(line):
    return line.split("  ")[0]


@pytest.mark.long
def test_the_long_commands_of_the_readme_run(inside):
    (inside / "outputs" / "demo").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "checkpoints" / "dprnn_voices.ckpt", inside / "outputs" / "demo" / "best.ckpt")  # any model
    for script, arguments in commands():
        if script in LONG:
            result = run(script, *arguments, cwd=inside, timeout=900)
            assert result.returncode == 0, result.stdout + result.stderr
    assert "Average SISNR improvement" in (inside / "acc.log").read_text()

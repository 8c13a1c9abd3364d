"""Two processes that train together equal one with twice the batch, and end well when one of them does not."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from src.core.errors import UserError
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.distributed.launch import plan
from src.distributed.rank_table import read_rank_table
from src.weights.checkpoint import read
from tests.helpers.synth import ROOT, TINY, assert_one_line_error, run, write_subset

STEPS = 7  # of an epoch
ONE, HALF = ([*TINY[:i], "--batch_size", n, *TINY[i + 2 :]] for i in [TINY.index("--batch_size")] for n in (2, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("distributed")
    write_subset(root / "c" / "train", 2 * STEPS - 1, lengths=(2000, 9000))
    write_subset(root / "c" / "dev", 5, seed=1, lengths=(2000, 9000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data")))
    return root / "data"


def flags(data, folder, *more):
    return ["--train_dir", data / "train", "--valid_dir", data / "dev", "--save_folder", folder, "--epochs", 3,
            "--loss_threshold", -5, "--valid_every", 0.5, *more]


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """One process with batch 2, three epochs."""
    folder = tmp_path_factory.mktemp("alone") / "m"
    result = run("train.py", *flags(data, folder), *ONE)
    assert result.returncode == 0, result.stderr
    return folder


def weights(path):
    return read(path)[2]


def validations(folder):
    with open(folder / "train_log.csv", newline="", encoding="utf-8") as file:
        return np.array([[float(r[k]) for k in ("step", "valid_loss", "valid_score")]
                         for r in csv.DictReader(file) if r["valid_loss"]])


def test_two_processes_equal_one_with_twice_the_batch(data, alone, tmp_path):
    words = [str(Path(sys.executable).with_name("msrun")),
             "--worker_num=2", "--local_worker_num=2", f"--master_port={8200 + os.getpid() % 700}", "--join=True",
             f"--log_dir={tmp_path / 'logs'}", "--cluster_time_out=300",
             str(ROOT / "tests" / "helpers" / "rank_run.py"),
             "--distribute", "1", *map(str, flags(data, tmp_path / "m")), *map(str, HALF)]
    environment = os.environ | {"RANK_DUMP": str(tmp_path), "PYTHONPATH": str(ROOT), "LOCAL_WORKER_NUM": "2",
                                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    ranks = [dict(np.load(tmp_path / f"{rank}.npz")) for rank in (0, 1)]
    assert ranks[1].pop("written") == 0, "only the first process writes"
    ranks[0].pop("written")
    one = weights(alone / "last.ckpt")
    for name, value in ranks[0].items():
        assert np.array_equal(value, ranks[1][name]), name
        assert np.abs(value - one[name]).max() <= 1e-5, name
    ours, theirs = validations(tmp_path / "m"), validations(alone)
    assert len(ours) >= 6 and np.abs(ours - theirs).max() < 1e-3
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == sorted(p.name for p in alone.iterdir())


def workers(process):
    return [child for child in psutil.Process(process.pid).children(recursive=True)
            if child.environ().get("MS_ROLE") == "MS_WORKER"]


def wait_for_step(log, step, process):
    began = time.time()
    while time.time() - began < 300 and process.poll() is None:
        if log.exists() and any(f"step {n}," in log.read_text() for n in range(step, step + 3)):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text() if log.exists() else "no log")


@pytest.mark.long
def test_killed_and_interrupted_jobs_resume(data, alone, tmp_path):
    """One worker killed; resumed, and asked to stop; resumed on one device: as if nothing had happened."""
    def start(*more):
        line = ["bash", str(ROOT / "scripts" / "run_distribute_train.sh"), "2", "1", "none", str(data / "train"),
                *map(str, flags(data, tmp_path / "m", "--log_every", 1, "--save_minutes", 0, *more)), *map(str, HALF)]
        return subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=os.environ | {"DEVICE_TARGET": "CPU", "PYTHON": sys.executable})

    process = start()
    wait_for_step(tmp_path / "train.log", 3, process)
    everyone = workers(process)
    assert len(everyone) == 2
    next(w for w in everyone if w.environ()["RANK_ID"] == "1").kill()
    killed = time.time()
    out, err = process.communicate(timeout=120)
    assert time.time() - killed < 60
    assert process.returncode == 1 and "Traceback" not in out + err
    assert "killed" in err and "others were stopped" in err and "--resume" in err and err.count("error:") == 1
    assert not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in everyone)
    reached = read(tmp_path / "m" / "last.ckpt")[1]["step"]
    assert 3 <= reached < 3 * STEPS

    process = start("--resume")
    wait_for_step(tmp_path / "train.log", reached + 2, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130, out + err
    assert "continue with --resume" in out and "Traceback" not in out + err

    result = run("train.py", *flags(data, tmp_path / "m", "--resume", "--save_minutes", 0), *ONE)
    assert result.returncode == 0, result.stderr
    one, other = weights(alone / "last.ckpt"), weights(tmp_path / "m" / "last.ckpt")
    assert max(np.abs(one[name] - other[name]).max() for name in one) <= 1e-5
    assert np.abs(validations(tmp_path / "m") - validations(alone)).max() < 1e-3


def table(path, servers, **changes):
    rank, listed = 0, []
    for n, ids in enumerate(servers):
        devices = []
        for device in ids:
            devices.append({"device_id": str(device), "device_ip": f"192.1.{n}.{device}", "rank_id": str(rank)})
            rank += 1
        listed.append({"server_id": f"10.0.0.{n}", "device": devices})
    path.write_text(json.dumps({"version": "1.0", "server_count": str(len(servers)), "server_list": listed,
                                "status": "completed"} | changes))
    return path


def test_rank_tables(tmp_path):
    good = str(table(tmp_path / "good.json", [[4, 5, 6, 7]]))
    assert read_rank_table(good) == [[4, 5, 6, 7]]
    count, environment, total = plan("4", "1", good, {})
    assert (count, total, environment["ASCEND_RT_VISIBLE_DEVICES"]) == (4, 4, "4,5,6,7")
    two = str(table(tmp_path / "two.json", [[0, 1], [2, 3]]))
    nodes = {"MASTER_ADDR": "10.0.0.0", "MASTER_PORT": "9000", "NODE_RANK": "1"}
    count, environment, total = plan("2", "true", two, nodes)
    assert (count, total, environment["ASCEND_RT_VISIBLE_DEVICES"]) == (2, 4, "2,3")
    assert plan("2", "1", "none", nodes | {"WORKER_NUM": "6"})[2] == 6
    assert plan("1", "0", "none", {})[::2] == (1, 1)
    for arguments, changes, word in (
            (("8", "1", good), {}, "DEVICE_NUM is 8, but .* has 4 devices"), (("2", "1", two), {}, "MASTER_ADDR"),
            (("2", "1", two), {"NODE_RANK": "2"}, "has 2 servers"), (("0", "1", "none"), {}, "DEVICE_NUM"),
            (("2", "maybe", "none"), {}, "DISTRIBUTE must"), (("2", "0", "none"), {}, "give 1, or one device"),
            (("2", "1", "none"), {"WORKER_NUM": "x"}, "WORKER_NUM must"),
            (("4", "1", good), {"WORKER_NUM": "8"}, "there are 4"), (("2", "1", "nowhere.json"), {}, "No such file")):
        with pytest.raises(UserError, match=word):
            plan(*arguments, changes)
    for content, word in (("{", "not valid JSON"), ("[]", "not a rank table"), ('{"server_list": [{}]}', "device"),
                          ('{"server_list": []}', "ranks"), ('{"server_list": [{"device": [{"rank_id": "a"}]}]}',
                                                             "not a rank table")):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(UserError, match=word):
            read_rank_table(tmp_path / "bad.json")
    with pytest.raises(UserError, match="initializing"):
        read_rank_table(table(tmp_path / "b.json", [[0]], status="initializing"))
    with pytest.raises(UserError, match="twice"):
        read_rank_table(table(tmp_path / "b.json", [[0, 0]]))


def test_script_refuses_what_makes_no_sense(data, tmp_path):
    script = "scripts/run_distribute_train.sh"
    for wrong in ([], ["2", "1", "none"], ["2", "1", "none", data / "train", "stray"], ["2", "1", "none", "--lr", "1"]):
        result = run(script, *wrong, cwd=tmp_path)
        assert result.returncode == 1 and "Usage" in result.stdout
    bad = table(tmp_path / "t.json", [[0, 1, 2]])
    assert_one_line_error(run(script, 2, 1, bad, data / "train", cwd=tmp_path), "DEVICE_NUM is 2", "3 devices")
    lonely = run("train.py", "--distribute", *flags(data, tmp_path / "m"), *ONE)
    assert_one_line_error(lonely, "run_distribute_train.sh")

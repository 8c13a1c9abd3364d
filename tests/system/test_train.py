"""train.py as a user runs it: log, best and last, interruption, resume, and refusal to run away."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.weights.checkpoint import read
from tests.helpers.synth import ROOT, TINY, assert_one_line_error, run, write_subset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("train")
    write_subset(root / "c" / "train", 9, lengths=(2000, 9000))
    write_subset(root / "c" / "dev", 3, seed=1, lengths=(2000, 9000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data")))
    return root / "data"


def arguments(data, folder, *more):
    return ["--train_dir", data / "train", "--valid_dir", data / "dev", "--save_folder", folder, *TINY, *more]


def log_of(folder):
    with open(folder / "train_log.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def arrays(path):
    return read(path)[2]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of 4 epochs of 5 steps."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    result = run("train.py", *arguments(data, folder, "--epochs", 4, "--log_every", 5))
    assert result.returncode == 0, result.stderr
    assert "validation loss" in result.stdout and "done: 20 steps" in result.stdout
    return folder


def test_log_and_checkpoints(whole):
    rows = log_of(whole)
    assert [int(r["step"]) for r in rows if r["valid_loss"]] == [5, 10, 15, 20]
    for row in rows:
        if row["train_loss"]:
            assert all(np.isfinite(float(row[k])) for k in ("train_loss", "lr", "grad_norm", "step_seconds"))
    config, info, _ = read(whole / "last.ckpt")
    assert info["step"] == 20 and info["epoch"] == 4 and config.kernel_size == 8
    best = read(whole / "best.ckpt")[1]
    assert best["valid_score"] == pytest.approx(max(float(r["valid_score"]) for r in rows if r["valid_score"]),
                                                  rel=1e-4)
    assert sorted(p.name for p in whole.iterdir()) == ["best.ckpt", "config.yaml", "last-15.ckpt", "last.ckpt",
                                                          "train_log.csv", "training_curve.png"]


def test_interrupted_and_resumed_equals_uninterrupted(data, whole, tmp_path):
    folder = tmp_path / "m"
    process = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py"), *map(str, arguments(data, folder, "--epochs", 4,
                                                                        "--log_every", 1))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "step 7" in line:  # in the middle of the second epoch
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    assert "continue with --resume" in rest and "Traceback" not in rest
    reached = read(folder / "last.ckpt")[1]["step"]
    assert 7 <= reached < 20

    refused = run("train.py", *arguments(data, folder, "--epochs", 4))
    assert_one_line_error(refused, "--resume")
    result = run("train.py", *arguments(data, folder, "--epochs", 4, "--log_every", 5, "--resume"))
    assert result.returncode == 0, result.stderr
    expected, got = arrays(whole / "last.ckpt"), arrays(folder / "last.ckpt")
    assert set(expected) == set(got)
    for name, value in expected.items():
        assert np.array_equal(value, got[name]), name
    steps = [int(r["step"]) for r in log_of(folder)]
    assert steps == sorted(steps) and steps[-1] == 20
    wrong = run("train.py", *arguments(data, folder, "--resume", "--K", 10))
    assert_one_line_error(wrong, "K 20 there, 10 here")


def test_kill_leaves_a_checkpoint_that_loads(data, whole, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(whole, folder)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *map(str, arguments(data, folder, "--epochs", 500, "--resume"))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    began = time.time()
    while read_step(folder) < 30 and time.time() - began < 120:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read(folder / "last.ckpt")[1]["step"] >= 25  # the log row of an epoch comes just before its checkpoint
    read(folder / "best.ckpt")
    step = read(folder / "last.ckpt")[1]["step"]
    result = run("train.py", *arguments(data, folder, "--epochs", 500, "--resume", "--max_steps", step + 2))
    assert result.returncode == 0, result.stderr
    assert read(folder / "last.ckpt")[1]["step"] == step + 2
    assert not list(folder.glob(".*")), "what the killed run was writing is gone"


def read_step(folder):
    """Step of the last complete log row."""
    rows = log_of(folder)
    return int(rows[-1]["step"]) if rows and rows[-1]["step"] else 0


def test_budgets_and_fine_tuning(data, whole, tmp_path):
    result = run("train.py", *arguments(data, tmp_path / "m", "--checkpoint", whole / "best.ckpt", "--max_steps", 3))
    assert result.returncode == 0, result.stderr
    assert read(tmp_path / "m" / "last.ckpt")[1]["step"] == 3
    # it starts where the other ended: three steps of Adam move a weight by no more than 3 times the rate
    before, after = arrays(whole / "best.ckpt"), arrays(tmp_path / "m" / "last.ckpt")
    assert max(np.abs(before[k] - after[k]).max() for k in before) < 4e-3


def test_a_diverging_run_stops_with_a_reason(data, tmp_path):
    result = run("train.py", *arguments(data, tmp_path / "m", "--lr", 1e30, "--clip_norm", 0, "--max_bad_steps", 4,
                                        "--epochs", 50, "--valid_dir", ""))
    assert_one_line_error(result, "4 steps in a row were not finite")
    assert "step skipped" in result.stdout


def test_standalone_script(data, tmp_path):
    for wrong in ([], ["0"], ["x", data / "train"], ["0", data / "train", "stray"]):
        result = run("scripts/run_standalone_train.sh", *wrong, cwd=tmp_path)
        assert result.returncode == 1 and "Usage" in result.stdout
    flags = [a for a in TINY if a not in ("--device_target", "CPU")]
    result = run("scripts/run_standalone_train.sh", 0, data / "train", *flags, "--max_steps", 3, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    log = (tmp_path / "train.log").read_text()
    assert "done: 3 steps" in log and "SI-SNRi" in log  # dev beside train was found
    assert (tmp_path / "checkpoints" / "dprnn" / "best.ckpt").exists()
    result = run("scripts/run_standalone_train.sh", 0, tmp_path / "nowhere", cwd=tmp_path)
    assert result.returncode == 1 and "no such folder" in (tmp_path / "train.log").read_text()

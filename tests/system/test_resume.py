"""kill -9 at any moment and --resume: the files at the end are those of a run that was left alone."""

import csv
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.weights.checkpoint import read
from tests.helpers.synth import ROOT, TINY, assert_one_line_error, run, write_subset

CLOCK = ("minutes", "step_seconds", "audio_per_second", "peak_gb")  # of the log: differ from run to run
NEAR = "train_loss"  # the last bit of MindSpore's logarithm on CPU is not always the same; the gradient has none


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    write_subset(root / "c" / "train", 12, lengths=(2000, 9000))
    write_subset(root / "c" / "dev", 3, seed=1, lengths=(2000, 9000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data")))
    return root / "data"


def flags(data, folder, *more):
    """Everything that has a state: dropout, mean of the weights, plateau, warm-up, accumulation, best files."""
    options = ["--train_dir", data / "train", "--valid_dir", data / "dev", "--save_folder", folder, *TINY,
               "--schedule", "plateau", "--patience", 1, "--warmup_steps", 4, "--dropout", 0.2, "--ema", 0.8,
               "--accumulate", 2, "--epochs", 6, "--valid_every", 0.67, "--log_every", 2, "--save_minutes", 0,
               "--keep_best", 2, "--keep_last", 3, "--lr", 1000, *more]
    return list(map(str, options))


def contents(folder):
    """Everything in a run's folder that does not come from a clock."""
    found = {}
    for path in sorted(folder.glob("*.ckpt")):
        _, info, values = read(path)
        info = {k: v for k, v in info.items() if k not in ("minutes", "window")}
        found[path.name] = (info, {name: value.tobytes() for name, value in values.items()})
    with open(folder / "train_log.csv", newline="", encoding="utf-8") as file:
        found["log"] = [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]
    return found


def test_kill_at_any_moment(data, tmp_path):
    assert run("train.py", *flags(data, tmp_path / "whole")).returncode == 0
    expected = contents(tmp_path / "whole")
    assert {"best.ckpt", "last.ckpt", "last-16.ckpt", "last-17.ckpt"} <= set(expected) and len(expected) == 7
    assert len({row["lr"] for row in expected["log"]}) > 2, "warm-up and plateau had their say"

    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    rng = random.Random(seed)
    folder = tmp_path / "killed"
    kills = [("checkpoint", rng.randint(1, 5)), ("rename", rng.randint(5, 12)), ("row", rng.randint(2, 3)),
             ("time", round(rng.uniform(0, 0.5), 3))]
    for n, (kind, number) in enumerate(kills):
        line = [sys.executable, str(ROOT / "tests" / "helpers" / "killed_run.py"), kind, str(number),
                *flags(data, folder, *(["--resume"] if n else []))]
        result = subprocess.run(line, capture_output=True, text=True, timeout=300,
                                env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert result.returncode == -9, (seed, kind, number, result.stdout, result.stderr)
    # at last the newest state is damaged: the one before it serves
    whole = (folder / "last.ckpt").read_bytes()
    (folder / "last.ckpt").unlink()  # a kill may have left it as a second name of the one before
    (folder / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    result = run("train.py", *flags(data, folder, "--resume"))
    assert result.returncode == 0, (seed, kills, result.stderr)
    assert "truncated or corrupt" in result.stdout and "the one before" in result.stdout
    found = contents(folder)
    assert set(found) == set(expected), (seed, kills)
    for name, value in expected.items():
        if name == "log":
            for row, other in zip(found[name], value, strict=True):
                losses = [float(r.pop(NEAR) or 0) for r in (row, other)]
                assert row == other and losses[0] == pytest.approx(losses[1], rel=1e-5), (seed, kills)
        else:
            assert found[name][0] == value[0], (seed, kills, name)
            different = [k for k, v in value[1].items() if found[name][1].get(k) != v]
            assert not different and len(found[name][1]) == len(value[1]), (seed, kills, name, different)
    assert not list(folder.glob(".*"))

    for state in folder.glob("last*.ckpt"):
        state.write_bytes(b"")
    assert_one_line_error(run("train.py", *flags(data, folder, "--resume")), "no state", "can be read")
    assert np.isfinite(read(folder / "best.ckpt")[1]["valid_score"])

"""Dynamic mixing as a user runs it: voices to records, training, interruption, resume."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.weights.checkpoint import read
from tests.helpers.synth import ROOT, TINY, assert_one_line_error, run, write_subset
from tests.helpers.voices import write_noises, write_voices

STEPS = ["--epoch_mixtures", 10, "--epochs", 3]  # of 5 steps


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("dynamic")
    write_voices(root / "voices", rate=16000)
    write_noises(root / "noises", channels=2)
    for task, name, found in (("speech", "voices", "20 recordings of 5 speakers"), ("noise", "noises", "3 recordings")):
        result = run("preprocess.py", "--in_dir", root / name, "--out_dir", root / "data", "--task", task)
        assert result.returncode == 0 and f"{name}: {found}" in result.stdout, result.stderr
    write_subset(root / "c" / "dev", 2, lengths=(2000, 9000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data"), num_workers=1))
    return root / "data"


def arguments(data, folder, *more):
    return ["--train_dir", data / "voices", "--valid_dir", data / "dev", "--save_folder", folder, "--dynamic_mixing", 1,
            "--noise_dir", data / "noises", "--noise_prob", 0.5, *TINY, *more]


def weights(folder):
    return read(folder / "last.ckpt")[2]


@pytest.mark.long
def test_interrupted_and_resumed_equals_uninterrupted(data, tmp_path):
    whole = run("train.py", *arguments(data, tmp_path / "whole", *STEPS))
    assert whole.returncode == 0, whole.stderr
    assert "10 fresh mixtures an epoch, of 5 speakers" in whole.stdout and "with noise" in whole.stdout
    assert "SI-SNRi" in whole.stdout and "done: 15 steps" in whole.stdout

    words = [str(a) for a in arguments(data, tmp_path / "parts", *STEPS, "--log_every", 1)]
    process = subprocess.Popen([sys.executable, "-u", str(ROOT / "train.py"), *words], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "step 7" in line:  # in the middle of the second epoch
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in rest, rest
    assert 7 <= read(tmp_path / "parts" / "last.ckpt")[1]["step"] < 15
    fewer = run("train.py", *arguments(data, tmp_path / "parts", "--epoch_mixtures", 2, "--resume"))
    assert_one_line_error(fewer, "an epoch, which has 1 steps now")
    result = run("train.py", *arguments(data, tmp_path / "parts", *STEPS, "--resume", "--num_workers", 1))
    assert result.returncode == 0, result.stderr
    expected, got = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert set(expected) == set(got)
    for name, value in expected.items():
        assert np.array_equal(value, got[name]), name


def test_records_of_the_other_kind(data, tmp_path):
    result = run("train.py", *arguments(data, tmp_path / "m", "--train_dir", data / "dev"))
    assert_one_line_error(result, "holds mixtures, single recordings (speech) are needed here")
    result = run("train.py", *arguments(data, tmp_path / "m", "--dynamic_mixing", 0))
    assert_one_line_error(result, "holds single recordings (speech), mixtures are needed here")
    result = run("preprocess.py", "--in_dir", data, "--out_dir", tmp_path / "d", "--task", "speech")
    assert_one_line_error(result, "no wav or FLAC")
    assert not (tmp_path / "m").exists() and not (tmp_path / "d").exists()

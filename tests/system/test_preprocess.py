"""preprocess.py as a user runs it: exact records, honest reports, and no half-written folder."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from src.config import PreprocessConfig
from src.dataset import Records, utterances
from src.errors import UserError
from src.manifest import load_manifest
from src.preprocess import preprocess
from tests.synth import ROOT, assert_one_line_error, run, write_librimix, write_mixture, write_subset


def content(folder):
    """Everything a record folder holds, in order."""
    return [(u.id, u.mixture.tobytes(), u.sources.tobytes()) for u in utterances(Records(folder))]


def test_five_hundred_mixtures_come_out_as_they_went_in(tmp_path):
    corpus = write_librimix(tmp_path, {"train-100": 500, "test": 7}, lengths=(400, 2000))
    result = run("preprocess.py", "--in_dir", corpus, "--out-dir", tmp_path / "data", "--shard_rows", 120,
                 "--num_workers", 2, "--train_name", "tr")
    assert result.returncode == 0, result.stderr
    manifest = load_manifest(tmp_path / "data" / "tr")
    assert manifest.rows == 500 and len(manifest.shards) == 5 and not manifest.skipped
    assert manifest.num_spks == 2 and manifest.sample_rate == 8000
    source = corpus / "wav8k" / "min" / "train-100"
    items = list(utterances(Records(tmp_path / "data" / "tr")))
    assert [u.id for u in items] == sorted(p.stem for p in (source / "mix_clean").iterdir())
    for item in items:
        for folder, samples in zip(("mix_clean", "s1", "s2"), (item.mixture, *item.sources)):
            pcm, _ = soundfile.read(source / folder / f"{item.id}.wav", dtype="int16")
            assert np.array_equal(samples * 32768, pcm)
    assert sum(len(u.mixture) for u in items) / 8000 / 3600 == pytest.approx(manifest.hours)

    again = run("preprocess.py", "--in_dir", corpus, "--out_dir", tmp_path / "data", "--train_name", "tr")
    assert_one_line_error(again, "--overwrite", tmp_path / "data")
    assert load_manifest(tmp_path / "data" / "tr") == manifest


def test_same_records_for_any_number_of_workers(tmp_path):
    write_subset(tmp_path / "c" / "dev", 23)
    for workers in (1, 3):
        preprocess(PreprocessConfig(in_dir=str(tmp_path / "c"), out_dir=str(tmp_path / str(workers)), shard_rows=4,
                                    num_workers=workers))
    assert content(tmp_path / "1" / "dev") == content(tmp_path / "3" / "dev")


def test_skipped_files_are_counted_and_named(tmp_path):
    folder = write_subset(tmp_path / "c" / "dev", 5)
    write_mixture(folder, "only", 100, np.random.default_rng(0))
    (folder / "s2" / "only.wav").unlink()
    soundfile.write(folder / "s1" / "utt0001.wav", np.zeros(99), 16000)
    (folder / "mix_clean" / "utt0002.wav").write_bytes(b"RIFF")
    result = run("preprocess.py", "--in_dir", tmp_path / "c", "--out_dir", tmp_path / "d")
    assert result.returncode == 0, result.stderr
    assert "skipped 1, missing mate: only (not in s2)" in result.stdout
    manifest = load_manifest(tmp_path / "d" / "dev")
    assert manifest.rows == 3 and set(manifest.skipped) == {"missing mate", "other rate", "unreadable"}
    assert [u.id for u in utterances(Records(tmp_path / "d" / "dev"))] == ["utt0000", "utt0003", "utt0004"]

    strict = run("preprocess.py", "--in_dir", tmp_path / "c", "--out_dir", tmp_path / "e", "--strict")
    assert_one_line_error(strict, "3 files skipped")
    assert not (tmp_path / "e" / "dev").exists()


def test_nothing_usable_writes_nothing(tmp_path):
    write_subset(tmp_path / "c" / "dev", 2, rate=16000)
    result = run("preprocess.py", "--in_dir", tmp_path / "c" / "dev", "--out_dir", tmp_path / "d")
    assert_one_line_error(result, "not one usable mixture")
    assert list((tmp_path / "d").iterdir()) == []


def test_overwrite_keeps_the_old_until_the_new_is_whole(tmp_path):
    write_subset(tmp_path / "c" / "dev", 4)
    config = PreprocessConfig(in_dir=str(tmp_path / "c"), out_dir=str(tmp_path / "d"))
    preprocess(config)
    old = content(tmp_path / "d" / "dev")
    for path in (tmp_path / "c" / "dev" / "s1").iterdir():
        path.write_text("broken")
    config.overwrite = True
    with pytest.raises(UserError, match="not one usable"):
        preprocess(config)
    assert content(tmp_path / "d" / "dev") == old
    write_subset(tmp_path / "c" / "dev", 6, seed=9)
    preprocess(config)
    assert load_manifest(tmp_path / "d" / "dev").rows == 6
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["dev"]


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    write_subset(tmp_path / "c" / "dev", 1)
    (tmp_path / "d" / "dev").mkdir(parents=True)
    (tmp_path / "d" / "dev" / "thesis.tex").write_text("years of work")
    for flags in ([], ["--overwrite"]):
        result = run("preprocess.py", "--in_dir", tmp_path / "c", "--out_dir", tmp_path / "d", *flags)
        assert_one_line_error(result, "thesis.tex")
    assert (tmp_path / "d" / "dev" / "thesis.tex").read_text() == "years of work"


def test_kill_at_any_moment_leaves_nothing_that_looks_valid(tmp_path):
    write_subset(tmp_path / "c" / "dev", 60, lengths=(60000, 90000))
    command = [sys.executable, str(ROOT / "preprocess.py"), "--in_dir", str(tmp_path / "c"), "--out_dir",
               str(tmp_path / "d"), "--shard_rows", "5"]
    target = tmp_path / "d" / "dev"
    killed = 0
    for delay in (0.8, 2.5, 4.0, 5.0):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if (target / "manifest.json").exists():  # it had finished
            break
        with pytest.raises(UserError):
            load_manifest(target)
    assert killed >= 2
    result = subprocess.run([*command, "--overwrite"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert load_manifest(target).rows == 60 and len(content(target)) == 60
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["dev"], "no remains of the killed runs"


def test_interrupt_cleans_up(tmp_path):
    write_subset(tmp_path / "c" / "dev", 60, lengths=(60000, 90000))
    process = subprocess.Popen([sys.executable, str(ROOT / "preprocess.py"), "--in_dir", str(tmp_path / "c"),
                                "--out_dir", str(tmp_path / "d"), "--shard_rows", "5"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "d").glob(".dev.partial-*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert list((tmp_path / "d").iterdir()) == []


def test_truncated_shard_is_named(tmp_path):
    write_subset(tmp_path / "c" / "dev", 3)
    preprocess(PreprocessConfig(in_dir=str(tmp_path / "c"), out_dir=str(tmp_path / "d")))
    shard = tmp_path / "d" / "dev" / "dev-00000.mindrecord"
    os.truncate(shard, shard.stat().st_size // 2)
    result = run("train.py", "--train_dir", tmp_path / "d" / "dev", "--valid_dir", "", "--save_folder", tmp_path / "m",
                 "--device_target", "CPU")
    assert_one_line_error(result, "dev-00000.mindrecord", "truncated")
    assert not (tmp_path / "m").exists()


def test_two_runs_do_not_write_one_folder(tmp_path):
    import fcntl

    write_subset(tmp_path / "c" / "dev", 1)
    (tmp_path / "d").mkdir()
    with open(tmp_path / "d" / ".dev.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("preprocess.py", "--in_dir", tmp_path / "c", "--out_dir", tmp_path / "d")
    assert_one_line_error(result, "another preprocess.py")


def test_bundled_samples(tmp_path):
    result = run("preprocess.py", "--in_dir", ROOT / "samples", "--out_dir", tmp_path, "--subsets", "dev,test")
    assert result.returncode == 0, result.stderr
    rows = {name: load_manifest(tmp_path / name).rows for name in ("dev", "test")}
    assert rows == {"dev": 20, "test": 40}
    assert json.loads((tmp_path / "test" / "manifest.json").read_text())["skipped"] == {}

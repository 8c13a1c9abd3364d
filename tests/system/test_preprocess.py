"""preprocess.py as a user runs it: what is on disk comes out, nothing half-done is ever valid, nothing foreign goes."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.core.errors import UserError
from src.data.records.folder import locked
from src.data.records.manifest import load_manifest, shard_paths
from src.data.records.mindrecord import read_rows
from tests.helpers.corpus_trees import write_audio, write_librimix_tree, write_subset, write_wsj_tree
from tests.helpers.synth import ROOT, assert_one_line_error
from tests.helpers.synth import run as run_script

SCRIPT = ROOT / "preprocess.py"


def command(in_dir, out_dir, *flags):
    return [sys.executable, str(SCRIPT), "--in_dir", str(in_dir), "--out_dir", str(out_dir), *map(str, flags)]


def run(in_dir, out_dir, *flags, **options):
    return subprocess.run(command(in_dir, out_dir, *flags), capture_output=True, text=True, timeout=120, **options)


def succeed(*args, **options):
    done = run(*args, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(*args, status=1, **options):
    """Run, expect one error line and nothing else on stderr; return it."""
    done = run(*args, **options)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def rows(folder):
    return list(read_rows(shard_paths(folder, load_manifest(folder))))


def assert_equals_disk(folder, tree, ids, names=("mix_clean", "s1", "s2"), suffix=".wav"):
    """The rows of a record folder are ``ids`` in this order, sample for sample what ``tree`` has on disk."""
    found = rows(folder)
    assert [(item["id"], item["index"]) for item in found] == [(name, n) for n, name in enumerate(ids)]
    for item in found:
        expected = [soundfile.read(tree / name / f"{item['id']}{suffix}")[0] * 32768 for name in names]
        assert np.array_equal(np.stack([item["mixture"], *item["sources"]]), np.stack(expected))
        assert item["length"] == len(expected[0])


def leftovers(out_dir):
    return sorted(path.name for path in Path(out_dir).iterdir() if path.name.startswith("."))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tree of 40 mixtures that tests read and leave as it is: (folder of the subset, ids)."""
    folder = tmp_path_factory.mktemp("small") / "train"
    return folder, write_subset(folder, 40, seconds=(0.05, 0.3))


def test_500_mixtures_in_500_out(tmp_path):
    corpus, ids = write_librimix_tree(tmp_path, {"train-100": 500, "dev": 11, "test": 7}, seconds=(0.05, 0.2))
    out = succeed(corpus, tmp_path / "data", "--train_name", "tr", "--test_name", "tt", cwd=tmp_path)
    for subset, name in (("train-100", "tr"), ("dev", "dev"), ("test", "tt")):
        assert_equals_disk(tmp_path / "data" / name, corpus / "wav8k/min" / subset, ids[subset])
    manifest = load_manifest(tmp_path / "data" / "tr")
    lengths = [item["length"] for item in rows(tmp_path / "data" / "tr")]
    assert (manifest.rows, manifest.min_length, manifest.max_length) == (500, min(lengths), max(lengths))
    assert manifest.hours == pytest.approx(sum(lengths) / 8000 / 3600)
    assert (manifest.subset, manifest.task, manifest.num_spks, manifest.sample_rate, manifest.skipped) == (
        "train-100", "sep_clean", 2, 8000, {})
    assert manifest.corpus == "Libri2Mix/wav8k/min/train-100" and manifest.targets == ["s1", "s2"]
    assert "train-100: 500 rows, 0.0" in out and "5 shards" in out
    assert leftovers(tmp_path / "data") == []


def test_three_speakers_flac_noisy_16_khz(tmp_path):
    corpus, ids = write_librimix_tree(tmp_path, {"dev": 3}, rate=16000, num_spks=3, suffix=".flac", noise="mix_both")
    succeed(tmp_path, tmp_path / "data", "--sample-rate=16000", "--task", "sep_noisy", "--num_workers", 1)
    assert_equals_disk(tmp_path / "data" / "dev", corpus / "wav16k/min/dev", ids["dev"],
                       ("mix_both", "s1", "s2", "s3"), ".flac")


def test_wider_wavs(tmp_path):
    """The tree's samples have 16 bits' worth of values, so wider files must give the same rows."""
    tree = tmp_path / "tree"
    ids = {name: write_wsj_tree(tree, {name: 5}, subtype=subtype)[name]
           for name, subtype in (("tr", "PCM_24"), ("cv", "FLOAT"))}
    succeed(tree, tmp_path / "data", "--train_name", "train")
    assert_equals_disk(tmp_path / "data" / "train", tree / "tr", ids["tr"], ("mix", "s1", "s2"))
    assert_equals_disk(tmp_path / "data" / "cv", tree / "cv", ids["cv"], ("mix", "s1", "s2"))


def test_any_number_of_workers_gives_the_same_files(tmp_path, small):
    folder, ids = small
    for workers in (1, 3):
        succeed(folder, tmp_path / str(workers), "--num_workers", workers, "--shard_rows", 7)
    one, three = (load_manifest(tmp_path / name / "train") for name in ("1", "3"))
    assert one == three and len(one.shards) == 6
    assert_equals_disk(tmp_path / "3" / "train", folder, ids)


def damaged_tree(folder):
    """30 mixtures, one damaged for each reason; returns (good ids, {reason: ids})."""
    ids = write_subset(folder, 30, seconds=(0.1, 0.2))
    bad = dict(zip(("missing mate", "duplicate stem", "other rate", "other length", "unreadable", "several channels",
                    "NaN or infinite", "empty", "too short", "beyond full scale"), ids[1::2]))

    def rewrite(reason, names, samples, rate=8000, subtype="PCM_16"):
        for name in names:
            write_audio(folder / name / f"{bad[reason]}.wav", samples, rate, subtype)

    every = ("mix_clean", "s1", "s2")
    (folder / "s2" / f"{bad['missing mate']}.wav").unlink()
    write_audio(folder / "s1" / f"{bad['duplicate stem']}.flac", np.zeros(9), 8000)
    rewrite("other rate", every, np.zeros(4000), rate=16000)
    rewrite("other length", ["s1"], np.zeros(700))
    (folder / "mix_clean" / f"{bad['unreadable']}.wav").write_bytes(b"RIFF")
    rewrite("several channels", ["s2"], np.zeros((4000, 2)))
    rewrite("NaN or infinite", ["s1"], np.full(4000, np.nan), subtype="FLOAT")
    rewrite("empty", every, np.zeros(0))
    rewrite("too short", every, np.zeros(100))
    rewrite("beyond full scale", every, np.full(4000, 1.5), subtype="FLOAT")
    (folder / "mix_clean" / "zz-alone.wav").write_bytes(b"")
    gone = {reason: [name] for reason, name in bad.items()}
    gone["missing mate"].append("zz-alone")
    return [name for name in ids if name not in bad.values()], gone


def test_every_skip_is_counted_and_named(tmp_path):
    good, bad = damaged_tree(tmp_path / "train")
    out = succeed(tmp_path, tmp_path / "data", "--min_seconds", 0.05, "--shard_rows", 4)
    # the numbers have no gaps although every shard but the last lost rows
    assert_equals_disk(tmp_path / "data" / "train", tmp_path / "train", good)
    skipped = load_manifest(tmp_path / "data" / "train").skipped
    assert set(skipped) == set(bad)
    for reason, names in bad.items():
        assert len(skipped[reason]) == len(names)
        assert all(name in text for name, text in zip(names, skipped[reason])), skipped[reason]
        assert f"skipped {len(names)}, {reason}: " in out and names[0] in out


def test_the_report_shows_five_names_and_the_manifest_all(tmp_path):
    ids = write_subset(tmp_path / "dev", 9)
    for name in ids[:8]:
        (tmp_path / "dev" / "s1" / f"{name}.wav").unlink()
    out = succeed(tmp_path, tmp_path / "data")
    assert "skipped 8, missing mate: " in out and "and 3 more" in out
    assert ids[4] in out and ids[5] not in out
    assert len(load_manifest(tmp_path / "data" / "dev").skipped["missing mate"]) == 8


def test_strict_makes_nothing_valid(tmp_path):
    write_subset(tmp_path / "in" / "dev", 3)  # whole, and built before train
    damaged_tree(tmp_path / "in" / "train")
    assert "11 skipped and --strict" in fail(tmp_path / "in", tmp_path / "data", "--strict", "--min_seconds", 0.05)
    assert list((tmp_path / "data").iterdir()) == []
    succeed(tmp_path / "in", tmp_path / "data", "--strict", "--subsets", "dev")


def test_nothing_usable(tmp_path):
    ids = write_subset(tmp_path / "dev", 2)
    assert "not one usable mixture" in fail(tmp_path, tmp_path / "data", "--min_seconds", 99)
    for name in ids:
        (tmp_path / "dev" / "s1" / f"{name}.wav").unlink()
    assert "not one mixture with its sources" in fail(tmp_path, tmp_path / "other")
    assert list((tmp_path / "data").iterdir()) == [] and not (tmp_path / "other").exists()


def test_refused_without_overwrite_and_replaced_with_it(tmp_path, small):
    folder, ids = small
    target = tmp_path / "data" / "train"
    succeed(folder, target.parent)
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in target.iterdir()}
    assert "already finished" in succeed(folder, target.parent)  # the same again: nothing to do
    assert "already holds records; --overwrite" in fail(folder, target.parent, "--min_seconds", 0.01)
    # a replacement that fails leaves the old records
    assert "not one usable" in fail(folder, target.parent, "--overwrite", "--min_seconds", 99)
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in target.iterdir()} == before
    # damaged ones are not replaced unasked either
    shard = next(target.glob("*.mindrecord"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError, match="truncated"):
        load_manifest(target)
    assert "damaged records; --overwrite" in fail(folder, target.parent)
    succeed(folder, target.parent, "--overwrite", "--shard_rows", 13)
    assert len(load_manifest(target).shards) == 4
    assert_equals_disk(target, folder, ids)
    assert leftovers(target.parent) == []


@pytest.mark.parametrize("name, text", [
    ("thesis.txt", "my only copy"), (".git", "gitdir: elsewhere"), ("manifest.json", '{"name": "a web app"}')])
def test_foreign_folders_are_left_alone(tmp_path, small, name, text):
    folder, _ = small
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / name).write_text(text)
    for flags in ((), ("--overwrite",)):
        assert str(tmp_path / "train") in fail(folder, tmp_path, *flags)
    assert (tmp_path / "train" / name).read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_a_corpus_is_not_written_over(tmp_path):
    write_subset(tmp_path / "train", 2)
    assert "not records" in fail(tmp_path, tmp_path, "--overwrite")
    assert len(list((tmp_path / "train").iterdir())) == 3


def test_shards_without_manifest_are_rebuilt(tmp_path, small):
    folder, ids = small
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train-00000.mindrecord").write_bytes(b"half")
    succeed(folder, tmp_path)
    assert_equals_disk(tmp_path / "train", folder, ids)


def test_refusals_come_before_any_writing(tmp_path):
    """The last of three subsets is refused: the first two are not begun."""
    write_librimix_tree(tmp_path, {"train-100": 2, "dev": 2, "test": 2})
    (tmp_path / "data" / "train-100").mkdir(parents=True)
    (tmp_path / "data" / "train-100" / "notes").write_text("")
    assert "not records" in fail(tmp_path, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["train-100"]


@pytest.mark.parametrize("flags, text", [
    (("--train_name", "x"), "exactly one such subset, found train-100, train-360"),
    (("--train_name", "x", "--subsets", "dev"), "found none"),
    (("--test_name", "dev"), "one folder"), (("--test_name", "../x"), "plain folder name"),
    (("--subsets", "nope"), "not in"), (("--sample_rate", "16000"), "no wav16k/min"),
    (("--shard_rows", "0"), "at least 1"), (("--in_dirr", "x"), "did you mean in_dir"),
    (("--in_dir", "/nowhere/at/all"), "no such folder"), (("--out_dir", "/dev/null/x"), "Not a directory")])
def test_mistakes_are_one_line(tmp_path, flags, text):
    corpus, _ = write_librimix_tree(tmp_path, {"train-100": 1, "train-360": 1, "dev": 1, "test": 1})
    assert text in fail(corpus, tmp_path / "data", *flags)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("flags, status", [(["--help"], 0), (["--in_dir", "/nowhere/at/all"], 1)])
def test_help_and_mistakes_do_not_wait_for_mindspore(flags, status):
    done = subprocess.run([sys.executable, "-X", "importtime", str(SCRIPT), *flags], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == status
    assert "argparse" in done.stderr and "mindspore" not in done.stderr


def test_train_name_with_one_training_subset_chosen(tmp_path):
    write_librimix_tree(tmp_path, {"train-100": 2, "train-360": 2, "dev": 2})
    succeed(tmp_path, tmp_path / "data", "--subsets", "dev,train-100", "--train_name", "train")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["dev", "train"]
    assert [path.name for path in (tmp_path / "data" / "train").glob("*.mindrecord")] == ["train-00000.mindrecord"]


def test_a_second_run_on_the_same_output_is_refused(tmp_path, small):
    folder, _ = small
    with locked(tmp_path / "train"):
        assert "another preprocess.py is writing" in fail(folder, tmp_path)
    assert list(tmp_path.iterdir()) == []
    succeed(folder, tmp_path)


def test_a_file_size_limit_or_full_disk_is_one_line(tmp_path, small):
    folder, _ = small
    limit = 100_000
    message = fail(folder, tmp_path,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert "train-00000.mindrecord" in message
    assert list(tmp_path.iterdir()) == []


# ---- ended from outside


def start(*args):
    return subprocess.Popen(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def wait_for_shard(process, out_dir, pattern="records/*.mindrecord"):
    """Return when a first shard is being written."""
    deadline = time.monotonic() + 60
    while not list(Path(out_dir).glob(f".train.partial/{pattern}")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


def children(pid):
    """Process ids of the worker processes of ``pid``."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def ended(pids, seconds=10):
    def alive(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_ctrl_c_keeps_what_is_whole(tmp_path):
    folder, out = tmp_path / "train", tmp_path / "data"
    ids = write_subset(folder, 200, seconds=(0.05, 0.1))
    flags = ("--shard_rows", 4, "--num_workers", 1)  # takes seconds from the first shard to the last
    process = start(folder, out, *flags)
    wait_for_shard(process, out, "notes/*.json")
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, "interrupted\n")
    assert workers and ended(workers)
    assert "of 50 shards are kept, the same command goes on" in stdout
    assert leftovers(out) == [".train.partial"]
    assert "of 50 shards are there from an unfinished run" in succeed(folder, out, *flags)
    assert_equals_disk(out / "train", folder, ids)
    assert leftovers(out) == []


def test_kill_9_at_any_moment(tmp_path, small):
    """Whatever is there after a kill is either nothing valid or the whole, and the next run needs no help."""
    folder, ids = small
    chance = random.Random(11)
    target = tmp_path / "train"
    unfinished = 0
    # seconds after the first shard was begun (None: after the start); a run takes about one more from there
    for after_shard in (0, None, chance.uniform(0, 0.3), chance.uniform(0.3, 0.8)):
        process = start(folder, tmp_path, "--shard_rows", 2, "--overwrite")
        if after_shard is None:
            time.sleep(chance.uniform(0, 1))
        else:
            wait_for_shard(process, tmp_path)
            time.sleep(after_shard)
        workers = children(process.pid) if process.poll() is None else []
        process.kill()
        process.communicate()
        assert ended(workers)
        try:
            load_manifest(target)
        except UserError:
            unfinished += 1
        else:
            assert_equals_disk(target, folder, ids)
    assert unfinished >= 1
    succeed(folder, tmp_path, "--overwrite")
    assert_equals_disk(target, folder, ids)
    assert leftovers(tmp_path) == []


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path, small):
    """--overwrite moves the old folder away, then the new one in: killed between, the old one is put back."""
    folder, ids = small
    succeed(folder, tmp_path)
    os.rename(tmp_path / "train", tmp_path / ".train.old")
    assert "already holds records" in fail(folder, tmp_path, "--min_seconds", 0.01)
    assert_equals_disk(tmp_path / "train", folder, ids)
    assert leftovers(tmp_path) == []


def test_a_killed_worker_is_an_error_not_a_hang(tmp_path, small):
    folder, _ = small
    process = start(folder, tmp_path, "--shard_rows", 2)
    wait_for_shard(process, tmp_path)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "writer process ended with status -9" in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "train").exists()


def test_progress_without_a_terminal_is_plain_lines(tmp_path, small):
    folder, _ = small
    done = run(folder, tmp_path)
    assert "\r" not in done.stdout + done.stderr and done.stderr == ""
    assert json.loads((tmp_path / "train" / "manifest.json").read_text())["rows"] == 40


# ---- with the rest of the repository


def test_train_names_a_truncated_shard(tmp_path, small):
    folder, _ = small
    succeed(folder, tmp_path)
    shard = next((tmp_path / "train").glob("*.mindrecord"))
    os.truncate(shard, shard.stat().st_size // 2)
    result = run_script("train.py", "--train_dir", tmp_path / "train", "--valid_dir", "", "--save_folder",
                        tmp_path / "m", "--device_target", "CPU")
    assert_one_line_error(result, "train-00000.mindrecord", "truncated")
    assert not (tmp_path / "m").exists()


def test_bundled_samples(tmp_path):
    succeed(ROOT / "samples", tmp_path, "--subsets", "dev,test", "--strict")
    assert {name: load_manifest(tmp_path / name).rows for name in ("dev", "test")} == {"dev": 20, "test": 40}

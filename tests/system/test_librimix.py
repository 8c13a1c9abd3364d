"""LibriMix from metadata as a user makes it: the published rows give the published mixtures, whatever happens on the
way."""

import csv
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from preprocess import main
from src.core.errors import UserError
from src.data.records.config import PreprocessConfig
from src.data.records.manifest import load_manifest, read_manifest, shard_paths
from src.data.records.mindrecord import read_rows
from src.data.records.verify import Check, check_shard
from src.data.records.write_mixtures import preprocess
from tests.helpers.librimix_reference import generate
from tests.helpers.speech_trees import metadata_header, write_csv, write_metadata, write_trees
from tests.helpers.synth import ROOT, assert_one_line_error
from tests.helpers.synth import run as run_script

PUBLISHED = ROOT / "tests/reference/librimix"


def run(speech, metadata, *flags, **options):
    metadata = ",".join(map(str, metadata)) if isinstance(metadata, list) else metadata
    return run_script("preprocess.py", "--librispeech_dir", speech, "--metadata", metadata, *flags, timeout=120,
                      **options)


def succeed(*args, **options):
    done = run(*args, **options)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    return done.stdout


def rows(folder):
    return list(read_rows(shard_paths(folder, load_manifest(folder))))


def digest(folder):
    """Everything the rows of a record folder hold, in order."""
    return [(r["id"], r["index"], r["length"], r["sample_rate"], r["mixture"].tobytes(), r["sources"].tobytes())
            for r in rows(folder)]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(Path(folder).rglob("*.wav"))}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A LibriSpeech and a wham_noise side by side, with all the files that the published rows name."""
    root = tmp_path_factory.mktemp("published")
    write_trees(sorted(PUBLISHED.glob("*.csv")), root / "LibriSpeech", root / "wham_noise", seconds=(0.3, 1.5),
                noise_seconds=(0.55, 1.2), peak=1.5)
    return root


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """240 short mixtures: (folder of LibriSpeech, CSV)."""
    root = tmp_path_factory.mktemp("many")
    metadata = write_metadata(root / "libri2mix_train-clean-100.csv", 240, part="train-clean-100", noise_part="tr")
    write_trees([metadata], root, root, seconds=(0.05, 0.2), noise_seconds=(0.51, 0.52))
    return root, metadata


# ---- what comes out


@pytest.mark.parametrize("speakers, rate, mode, task, mixture", [
    (2, 8000, "min", "sep_clean", "mix_clean"), (3, 16000, "max", "sep_noisy", "mix_both"),
    (2, 16000, "min", "enh_single", "mix_single"), (3, 8000, "max", "enh_both", "mix_both")])
def test_published_rows_to_records(published, tmp_path, speakers, rate, mode, task, mixture):
    metadata = PUBLISHED / f"libri{speakers}mix_dev-clean.csv"
    ids = generate(metadata, published / "LibriSpeech", published / "wham_noise", tmp_path / "expected", rate, mode)
    noise = [] if task == "sep_clean" else ["--wham_dir", published]  # clean mixtures need none
    out = succeed(published, metadata, "--out_dir", tmp_path / "data", "--sample_rate", rate, "--mode", mode,
                  "--task", task, *noise)
    assert f"dev: {len(ids)} rows" in out
    targets = {"enh_single": ["s1"], "enh_both": ["mix_clean"]}.get(task, [f"s{n + 1}" for n in range(speakers)])
    found = rows(tmp_path / "data/dev")
    assert [(row["id"], row["index"]) for row in found] == [(name, n) for n, name in enumerate(ids)]
    for row in found:
        for name, samples in zip([mixture, *targets], [row["mixture"], *row["sources"]], strict=True):
            expected, _ = soundfile.read(tmp_path / "expected" / name / f"{row['id']}.wav", dtype="int16")
            assert samples.shape == expected.shape and np.abs(samples.astype(int) - expected).max() <= 1
    manifest = load_manifest(tmp_path / "data/dev")
    assert (manifest.rows, manifest.num_spks, manifest.sample_rate, manifest.task, manifest.mixture,
            manifest.targets, manifest.skipped, manifest.corpus) == (
        len(ids), len(targets), rate, task, mixture, targets, {}, metadata.name)


def test_wav_tree_beside_the_records(published, tmp_path):
    metadata = PUBLISHED / "libri3mix_dev-clean.csv"
    ids = generate(metadata, published / "LibriSpeech", published / "wham_noise", tmp_path / "expected", 8000, "min")
    succeed(published / "LibriSpeech", metadata, "--wham_dir", published / "wham_noise", "--out_dir",
            tmp_path / "data", "--write_wav", tmp_path)
    subset = tmp_path / "Libri3Mix/wav8k/min/dev"
    expected, found = contents(tmp_path / "expected"), contents(subset)
    assert set(found) == set(expected) and len(found) == 7 * len(ids)
    for name in expected:
        a, b = (soundfile.read(folder / name, dtype="int16")[0].astype(int)
                for folder in (subset, tmp_path / "expected"))
        assert a.shape == b.shape and np.abs(a - b).max() <= 1
    lists = subset.parent / "metadata"
    assert sorted(path.name for path in lists.glob("*.csv")) == sorted(
        f"{what}_dev_{kind}.csv" for what in ("mixture", "metrics") for kind in ("mix_clean", "mix_both", "mix_single"))
    for kind, columns in (("mix_clean", ["source_1", "source_2", "source_3"]), ("mix_single", ["source_1", "noise"]),
                          ("mix_both", ["source_1", "source_2", "source_3", "noise"])):
        with open(lists / f"mixture_dev_{kind}.csv") as file:
            listed = list(csv.DictReader(file))
        assert list(listed[0]) == ["mixture_ID", "mixture_path", *(f"{c}_path" for c in columns), "length"]
        assert [row["mixture_ID"] for row in listed] == ids
        for row in listed:
            assert soundfile.info(row["mixture_path"]).frames == int(row["length"])
            assert Path(row["source_1_path"]) == subset.resolve() / "s1" / f"{row['mixture_ID']}.wav"
        with open(lists / f"metrics_dev_{kind}.csv") as file:
            scores = list(csv.DictReader(file))
        assert list(scores[0]) == ["mixture_ID", *(f"{c}_SNR" for c in columns)]
        for row in scores[:3]:
            mixture, part = (soundfile.read(subset / name / f"{row['mixture_ID']}.wav")[0] for name in (kind, "s1"))
            if np.abs(mixture).max() < 0.99:  # a clipped file is not the sum the ratio is of
                ratio = 10 * np.log10(np.mean(part**2) / np.mean((mixture - part) ** 2))
                assert float(row["source_1_SNR"]) == pytest.approx(ratio, abs=0.05)
    # the records made on the way are those made of the tree
    assert run_script("preprocess.py", "--in_dir", tmp_path, "--out_dir", tmp_path / "again").returncode == 0
    assert {row[0]: row[2:] for row in digest(tmp_path / "data/dev")} == {
        row[0]: row[2:] for row in digest(tmp_path / "again/dev")}


def test_several_subsets_and_names(many, published, tmp_path):
    """One command for two CSVs; clean wavs alone need no noise and no records."""
    root, metadata = many
    (tmp_path / "LibriSpeech").mkdir()
    for part in (root / "train-clean-100", published / "LibriSpeech/dev-clean"):
        (tmp_path / "LibriSpeech" / part.name).symlink_to(part)
    both = [metadata, PUBLISHED / "libri2mix_dev-clean.csv"]
    out = succeed(tmp_path, both, "--out_dir", "", "--write_wav", tmp_path, "--mode", "max", cwd=tmp_path)
    assert "train-100: finished" in out and "dev: finished" in out and not (tmp_path / "data").exists()
    base = tmp_path / "Libri2Mix/wav8k/max"
    assert {path.parent.name: len(list(path.iterdir())) for path in base.glob("*/s2")} == {"dev": 30, "train-100": 240}
    assert sorted(path.name for path in (base / "dev").iterdir()) == ["mix_clean", "s1", "s2"]
    (base / ".dev.partial/notes").mkdir(parents=True)  # as a kill at the very end leaves it
    assert "dev: already finished" in succeed(tmp_path, both, "--out_dir", "", "--write_wav", tmp_path, "--mode", "max")
    assert [path.name for path in base.iterdir() if path.name.startswith(".")] == []
    # other wavs in their place are not replaced
    clash = run(tmp_path, both, "--out_dir", "", "--write_wav", tmp_path, "--mode", "max", "--min_seconds", 0.1,
                "--overwrite")
    assert_one_line_error(clash, "wavs are never replaced")


# ---- ended from outside


def start(speech, metadata, *flags):
    command = [sys.executable, ROOT / "preprocess.py", "--librispeech_dir", speech, "--metadata", metadata, *flags]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def kill_after_notes(process, notes, count, seconds):
    """kill -9 the run, ``seconds`` after it has noted ``count`` shards (or when it ends)."""
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(notes.glob("*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    time.sleep(0.2)  # its workers end with it


@pytest.mark.slow
def test_killed_five_times_and_whole_in_the_end(many, tmp_path):
    """What is whole is not made again, unless it is damaged; the end is that of an uninterrupted run."""
    root, metadata = many
    chance = random.Random(5)
    flags = ("--out_dir", tmp_path / "data", "--shard_rows", 8, "--write_wav", tmp_path, "--wham_dir", root)
    partial = tmp_path / "data/.train-100.partial"
    kept = []
    for n in range(5):
        process = start(root, metadata, *flags, "--num_workers", 1 + n % 2)
        kill_after_notes(process, partial / "notes", len(kept) + 1, chance.uniform(0, 0.15))
        found = {path.name: path.stat().st_mtime_ns for path in (partial / "notes").glob("*.json")}
        assert process.returncode == -9
        assert all(found.get(name) == when for name, when in kept), "a shard that was whole was written again"
        kept = sorted(found.items())
    assert len(kept) >= 5 and not (tmp_path / "data/train-100").exists()
    shards = [partial / "records" / name.removesuffix(".json") for name, _ in kept]
    raw = bytearray(shards[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    shards[0].write_bytes(raw)
    os.truncate(f"{shards[1]}.db", 100)
    wav = next((tmp_path / "Libri2Mix/wav8k/min/.train-100.partial/wavs/noise").iterdir())
    wav.write_bytes(wav.read_bytes()[:-2])
    out = succeed(root, metadata, *flags)
    assert f"{len(kept)} of 30 shards are there from an unfinished run" in out
    clean = tmp_path / "clean"
    succeed(root, metadata, "--out_dir", clean / "data", "--shard_rows", 8, "--write_wav", clean, "--wham_dir", root,
            "--num_workers", 1)
    assert digest(tmp_path / "data/train-100") == digest(clean / "data/train-100")
    assert load_manifest(tmp_path / "data/train-100") == load_manifest(clean / "data/train-100")
    assert contents(tmp_path / "Libri2Mix") == contents(clean / "Libri2Mix")
    for folder in (tmp_path / "data", tmp_path / "Libri2Mix/wav8k/min"):
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_another_request_does_not_use_what_is_left(many, tmp_path):
    root, metadata = many
    flags = ("--out_dir", "", "--write_wav", tmp_path, "--shard_rows", 8)
    base = tmp_path / "Libri2Mix/wav8k/min"
    process = start(root, metadata, *flags, "--num_workers", 1, "--wham_dir", root)
    kill_after_notes(process, base / ".train-100.partial/notes", 2, 0)
    assert not (base / "train-100").exists()
    out = succeed(root, metadata, *flags, "--wham_dir", root, "--wav_types", "mix_single")
    assert "unfinished run" not in out
    assert sorted(path.name for path in (base / "train-100").iterdir()) == ["mix_single", "noise", "s1", "s2"]
    assert all(len(list(path.iterdir())) == 240 for path in (base / "train-100").iterdir())


# ---- what is refused


@pytest.fixture
def small(tmp_path):
    """Six mixtures that a test may damage: (folder above LibriSpeech, CSV, ids)."""
    metadata = write_metadata(tmp_path / "libri2mix_dev-clean.csv", 6)
    write_trees([metadata], tmp_path / "LibriSpeech", tmp_path / "wham_noise", seconds=(0.3, 0.5))
    with open(metadata) as file:
        return tmp_path, metadata, list(csv.DictReader(file))


def test_missing_files_are_counted_before_any_work(small, tmp_path):
    root, metadata, table = small
    names = [row[f"source_{n}_path"] for row in table for n in (1, 2)]
    for name in names[:7]:
        (root / "LibriSpeech" / name).unlink()
    for flags in ((), ("--dry_run",)):
        done = run(root, metadata, "--out_dir", tmp_path / "data", *flags)
        assert_one_line_error(done, "7 of 12 files are missing", *names[:5], "and 2 more", "--skip_bad")
        assert names[5] not in done.stderr and not (tmp_path / "data").exists()
    assert "7 of 12 files, missing file" in done.stdout and "2 mixtures, 0.00 h" in done.stdout
    shutil.rmtree(root / "LibriSpeech/dev-clean")
    assert_one_line_error(run(root, metadata, "--out_dir", tmp_path / "data"), "12 of 12 files are missing")
    assert_one_line_error(run(root, metadata, "--out_dir", tmp_path / "data", "--skip_bad"), "not one mixture")
    assert not (tmp_path / "data").exists()


def damage(root, table):
    """Five of the six mixtures spoiled, each in its way; returns {reason: id}."""
    speech = root / "LibriSpeech"
    (speech / table[0]["source_1_path"]).unlink()
    soundfile.write(speech / table[1]["source_2_path"], np.zeros(4000), 8000)
    soundfile.write(speech / table[2]["source_1_path"], np.zeros((9000, 2)), 16000)
    (speech / table[3]["source_1_path"]).write_bytes(b"not audio")
    broken = speech / table[4]["source_2_path"]  # its header is good
    raw = bytearray(broken.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 40] = bytes(40)
    broken.write_bytes(raw)
    reasons = ("missing file", "other rate", "several channels", "unreadable", "unreadable")
    return [(reason, row["mixture_ID"]) for reason, row in zip(reasons, table)]


def test_bad_files_are_an_error_or_named_in_the_manifest(small, tmp_path):
    root, metadata, table = small
    bad = damage(root, table)
    out = succeed(root, metadata, "--out_dir", tmp_path / "data", "--skip_bad")
    skipped = load_manifest(tmp_path / "data/dev").skipped
    assert {reason: len(texts) for reason, texts in skipped.items()} == {
        "missing file": 1, "other rate": 1, "several channels": 1, "unreadable": 2}
    for reason, identifier in bad:
        assert any(identifier in text for text in skipped[reason]) and identifier in out
    assert [row["id"] for row in rows(tmp_path / "data/dev")] == [table[5]["mixture_ID"]]
    # without the flag: what headers tell comes before any work, what they do not ends it
    (root / "LibriSpeech" / table[0]["source_1_path"]).write_bytes(b"")
    done = run(root, metadata, "--out_dir", tmp_path / "other")
    assert_one_line_error(done, "4 of 12 files cannot be used", table[1]["source_2_path"], "8000 Hz, expected 16000 Hz",
                          "2 channels", "--skip_bad")
    assert not (tmp_path / "other").exists()
    write_csv(metadata, table[0], [row.values() for row in table[4:]])
    done = run(root, metadata, "--out_dir", tmp_path / "other")
    assert_one_line_error(done, table[4]["mixture_ID"], table[4]["source_2_path"], "not readable", "--skip_bad")
    assert list((tmp_path / "other").iterdir()) == []


def test_what_is_finished_before_a_bad_file_is_kept(many, tmp_path):
    """The run stops at the bad file; with --skip_bad it goes on, and rows after it are numbered anew."""
    root, metadata = many
    shutil.copytree(root, tmp_path / "in")
    with open(metadata) as file:
        table = list(csv.DictReader(file))
    broken = tmp_path / "in" / table[130]["source_1_path"]
    raw = bytearray(broken.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 40] = bytes(40)
    broken.write_bytes(raw)
    flags = ("--out_dir", tmp_path / "data", "--shard_rows", 40, "--num_workers", 1)
    done = run(tmp_path / "in", tmp_path / "in" / metadata.name, *flags)
    assert_one_line_error(done, table[130]["mixture_ID"], "--skip_bad")
    assert "train-100: unfinished; 3 of 6 shards are kept" in done.stdout
    out = succeed(tmp_path / "in", tmp_path / "in" / metadata.name, *flags, "--skip_bad")
    assert "3 of 6 shards are there" in out and "skipped 1, unreadable" in out
    ids = [row["mixture_ID"] for n, row in enumerate(table) if n != 130]
    assert [(row["id"], row["index"]) for row in rows(tmp_path / "data/train-100")] == list(zip(ids, range(239)))
    assert run_script("preprocess.py", "--verify", tmp_path / "data").returncode == 0


def test_mistakes_are_one_line(small, tmp_path):
    root, metadata, table = small
    swapped = write_csv(tmp_path / "bad/libri2mix_dev-clean.csv", ["mixture_ID", "source_1_path", "source_1_gian"], [])
    other = write_metadata(tmp_path / "three/libri3mix_dev-clean.csv", 2, 3)
    no_noise = write_csv(tmp_path / "clean.csv", metadata_header(1, noise=False), [["a", "b", "1"]])
    (tmp_path / "empty").mkdir()
    for args, words in (
            ((root, swapped), ("lacks column source_1_gain", swapped)),
            ((root, tmp_path / "none.csv"), ("none.csv", "No such file")),
            ((root, tmp_path / "empty"), ("without CSV files",)),
            ((root / "nowhere", metadata), ("--librispeech_dir", "no such folder")),
            ((root, [metadata, tmp_path / "bad"]), ("would both be written to dev",)),
            ((root, [metadata, other], "--subsets", "dev"), ("would both be written to dev",)),
            ((root, metadata, "--num_spks", "3"), ("2 sources", "--num_spks is 3")),
            ((root, metadata, "--subsets", "train-100"), ("--subsets train-100", "which has dev")),
            ((root, metadata, "--task", "sep_noisy"), ("--wham_dir is missing",)),
            ((root, no_noise, "--task", "sep_noisy", "--wham_dir", root), ("noise_path",)),
            ((root, metadata, "--write_wav", "w", "--wav_types", "mix"), ("--wav_types mix",)),
            ((root, metadata, "--out_dir", ""), ("--out_dir is empty",)),
            ((root, metadata, "--strict", "--skip_bad"), ("opposite",)),
            ((root, metadata, "--in_dir", root), ("--in_dir",)),
            ((root, ""), ("--metadata is missing",))):
        metadata_flag = ",".join(map(str, args[1])) if isinstance(args[1], list) else args[1]
        flags = ["--librispeech_dir", args[0], "--metadata", metadata_flag, "--out_dir", tmp_path / "data", *args[2:]]
        with pytest.raises(UserError) as caught:
            main(list(map(str, flags)))
        assert all(str(word) in str(caught.value) for word in words), caught.value
    assert not (tmp_path / "data").exists() and not Path("w").exists()


def test_a_disk_too_small_is_known_before_any_work(small, tmp_path, monkeypatch):
    root, metadata, _ = small
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    config = PreprocessConfig(librispeech_dir=str(root), metadata=str(metadata), out_dir=str(tmp_path / "data"))
    with pytest.raises(UserError, match="GB are needed, 1e-05 GB are free; make room"):
        preprocess(config)
    assert not (tmp_path / "data").exists()


def test_dry_run_tells_what_a_run_will_make(many, tmp_path):
    root, metadata = many
    flags = ("--out_dir", tmp_path / "data", "--write_wav", tmp_path / "wav", "--wham_dir", root)
    out = succeed(root, metadata, *flags, "--dry_run")
    assert not (tmp_path / "data").exists() and not (tmp_path / "wav").exists()
    succeed(root, metadata, *flags)
    hours = load_manifest(tmp_path / "data/train-100").hours
    assert f"train-100: 240 mixtures, {hours:.2f} h at 8000 Hz" in out
    line = next(line for line in out.splitlines() if " GB in " in line)
    for part in line.split(", ")[2:]:
        size, folder = part.split(" GB in ")
        used = sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*") if path.is_file())
        assert used / 2 < 1e9 * float(size) < 2.5 * used + 4e6
    tree = run_script("preprocess.py", "--in_dir", tmp_path / "wav", "--out_dir", tmp_path / "other", "--dry_run")
    assert f"train-100: 240 mixtures, {hours:.2f} h at 8000 Hz" in tree.stdout and tree.returncode == 0
    assert not (tmp_path / "other").exists()


# ---- verify


@pytest.fixture(scope="module")
def finished(many, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    succeed(*many, "--out_dir", folder, "--shard_rows", 100, "--train_name", "train")
    shutil.copytree(folder / "train", folder / "copy")
    return folder


def test_verify_finds_nothing_wrong(finished):
    done = run_script("preprocess.py", "--verify", finished, "--num_workers", 2)
    assert done.returncode == 0 and done.stdout.count("240 rows in 3 shards, all as its manifest says") == 2


def test_verify_names_shard_and_rows(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "data")
    expected = rows(folder / "train")
    shards = sorted((folder / "train").glob("*.mindrecord"))
    raw = bytearray(shards[1].read_bytes())
    for n in (117, 151):
        place = bytes(raw).index(expected[n]["mixture"].tobytes())
        raw[place + 100] ^= 1
    shards[1].write_bytes(raw)
    os.truncate(shards[2], shards[2].stat().st_size - 5)
    done = run_script("preprocess.py", "--verify", folder)
    assert_one_line_error(done, "2 of 6 shards are damaged", "--overwrite")
    assert done.stderr.count("\n") == 1
    lines = [line for line in done.stdout.splitlines() if "damaged: " in line]
    assert len(lines) == 2
    assert str(shards[1]) in lines[0] and "2 of 100 rows: 117 (" in lines[0] and ", 151 (" in lines[0]
    assert expected[117]["id"] in lines[0] and expected[151]["id"] in lines[0]
    assert str(shards[2]) in lines[1] and "1 of 40 rows: 239 (cannot be read)" in lines[1]
    assert f"{folder / 'copy'}: 240 rows in 3 shards, all as its manifest says" in done.stdout


@pytest.mark.parametrize("spoil, text", [
    (lambda shard: shard.unlink(), "No such file"), (lambda shard: os.unlink(f"{shard}.db"), "No such file"),
    (lambda shard: Path(f"{shard}.db").write_bytes(b"x" * Path(f"{shard}.db").stat().st_size), "another checksum")],
    ids=["shard gone", "index gone", "index overwritten"])
def test_verify_names_what_is_gone(finished, tmp_path, spoil, text):
    folder = shutil.copytree(finished / "train", tmp_path / "train")
    spoil(folder / "train-00001.mindrecord")
    shards = read_manifest(folder).shards
    found = "; ".join(check_shard(Check(folder, shards[1], 100), lambda count=1: None))
    assert text in found and "100 of 100 rows: 100 to 199 (cannot be read)" in found
    assert check_shard(Check(folder, shards[2], 200), lambda count=1: None) == []


def test_verify_of_older_records_and_of_none(finished, tmp_path):
    shard = dict(read_manifest(finished / "train").shards[1])
    del shard["crc32"], shard["db_sha256"]
    assert check_shard(Check(finished / "train", shard, 100), lambda count=1: None) == []
    found = check_shard(Check(finished / "train", shard, 99), lambda count=1: None)
    assert "100 of 100 rows: 99 (has number 100), " in found[0]
    assert_one_line_error(run_script("preprocess.py", "--verify", tmp_path), "holds no finished records")
    assert_one_line_error(run_script("preprocess.py", "--verify", tmp_path / "nowhere"), "no such folder")

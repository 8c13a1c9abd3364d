"""manifest.json is read back as written, and anything wrong with a record folder is one clear line."""

import json

import pytest

from src.core.errors import UserError
from src.data.records.manifest import NAME, Manifest, load_manifest, shard_paths, write_manifest


@pytest.fixture
def folder(tmp_path):
    """A record folder as load_manifest sees it: sizes and names (the contents are not its matter)."""
    folder = tmp_path / "train"
    folder.mkdir()
    shards = []
    for n, rows in enumerate((3, 2)):
        name = f"train-{n:05d}.mindrecord"
        (folder / name).write_bytes(b"x" * 100)
        (folder / f"{name}.db").write_bytes(b"y" * 10)
        shards.append({"file": name, "rows": rows, "bytes": 100, "db_bytes": 10, "sha256": "0" * 64})
    write_manifest(folder, Manifest(
        subset="train", corpus="Libri2Mix/wav8k/min/train", mixture="mix_clean", targets=["s1", "s2"],
        task="sep_clean", num_spks=2, sample_rate=8000, rows=5, hours=0.01, min_length=10, max_length=90,
        shards=shards, skipped={"missing mate": ["é (not in s1)"]}))
    return folder


def edit(folder, **changes):
    values = json.loads((folder / NAME).read_text(encoding="utf-8"))
    values.update(changes)
    (folder / NAME).write_text(json.dumps({k: v for k, v in values.items() if v is not None}), encoding="utf-8")


def test_round_trip(folder):
    manifest = load_manifest(folder)
    assert manifest.rows == 5 and manifest.skipped == {"missing mate": ["é (not in s1)"]}
    assert manifest.created_by.startswith("dprnn ")
    assert shard_paths(folder, manifest) == [folder / "train-00000.mindrecord", folder / "train-00001.mindrecord"]
    assert sorted(p.name for p in folder.iterdir())[0] == NAME  # no temporary file stays


def test_a_key_of_a_later_program_is_passed_over(folder):
    edit(folder, speakers_total=251)
    assert load_manifest(folder).rows == 5


@pytest.mark.parametrize("changes, text", [
    (dict(version=99), "format version 99"), (dict(version=None), "format version None"),
    (dict(rows=None), "lacks rows"), (dict(rows=6), "do not add up"), (dict(rows="5"), "rows is not int"),
    (dict(sample_rate=None), "lacks sample_rate"), (dict(shards=[]), "do not add up"),
    (dict(shards=None), "not a manifest"), (dict(shards=[{"file": "a"}]), "shard entry lacks"),
    (dict(shards=["a"]), "shard entry lacks")])
def test_a_manifest_that_is_not_right(folder, changes, text):
    edit(folder, **changes)
    with pytest.raises(UserError, match=text):
        load_manifest(folder)


@pytest.mark.parametrize("text, message", [
    ("", "not valid JSON"), ('{"version": 1, "rows"', "not valid JSON"), ("[1, 2]", "not a manifest"),
    ('"text"', "not a manifest"), ("{}", "not a manifest")])
def test_a_file_that_is_no_manifest(folder, text, message):
    (folder / NAME).write_text(text)
    with pytest.raises(UserError, match=message):
        load_manifest(folder)


def test_no_folder_no_manifest(folder, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load_manifest(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a folder"):
        load_manifest(folder / NAME)
    with pytest.raises(UserError, match="it holds train: give one of them"):
        load_manifest(tmp_path)
    (folder / NAME).unlink()
    with pytest.raises(UserError, match="not a finished record folder.*preprocess.py"):
        load_manifest(folder)


@pytest.mark.parametrize("name", ["train-00001.mindrecord", "train-00000.mindrecord.db"])
def test_a_shard_missing_or_of_another_size(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name}: has \d+ bytes, the manifest says \d+"):
        load_manifest(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing"):
        load_manifest(folder)

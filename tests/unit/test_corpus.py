"""Finding subsets and pairing files by name."""

import numpy as np
import pytest
import soundfile

from src.corpus import Skip, find_subsets, load, pair, subset_tree
from src.errors import UserError
from src.manifest import Manifest, load_manifest, write_manifest
from tests.synth import write_librimix, write_mixture, write_subset


def find(root, rate=8000, mode="min", task="sep_clean", num_spks=0):
    return find_subsets(root, rate, mode, task, num_spks)


def test_every_layout(tmp_path):
    libri = write_librimix(tmp_path, {"train-100": 1, "dev": 1})
    for root in (tmp_path, libri, libri / "wav8k", libri / "wav8k" / "min"):
        assert list(find(root)) == ["dev", "train-100"]
    assert list(find(libri / "wav8k" / "min" / "dev")) == ["dev"]
    write_subset(tmp_path / "wsj" / "tr", 1, mixture="mix")
    write_subset(tmp_path / "wsj" / "tt", 1, mixture="mix")
    assert list(find(tmp_path / "wsj")) == ["tr", "tt"]
    write_librimix(tmp_path, {"dev": 1}, num_spks=3)
    with pytest.raises(UserError, match="Libri2Mix and Libri3Mix"):
        find(tmp_path)
    assert len(find(tmp_path, num_spks=3)["dev"].source_dirs) == 3
    with pytest.raises(UserError, match="has wav8k but no wav16k"):
        find(libri, rate=16000)
    with pytest.raises(UserError, match="no subset with mix_both"):
        find(libri, task="sep_noisy")
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(UserError, match="only 2 source folders"):
        find(libri / "wav8k" / "min", num_spks=5)


def test_tasks_choose_folders(tmp_path):
    for name in ("mix_clean", "mix_both", "mix_single", "s1", "s2", "noise"):
        (tmp_path / name).mkdir()
    picked = {task: subset_tree(tmp_path, task) for task in ("sep_clean", "sep_noisy", "enh_single", "enh_both")}
    names = {task: (t.mixture_dir.name, *[s.name for s in t.source_dirs]) for task, t in picked.items()}
    assert names == {"sep_clean": ("mix_clean", "s1", "s2"), "sep_noisy": ("mix_both", "s1", "s2"),
                     "enh_single": ("mix_single", "s1"), "enh_both": ("mix_both", "mix_clean")}


def test_pairs_by_name_and_reports_the_rest(tmp_path):
    write_subset(tmp_path, 4)
    (tmp_path / "s2" / "utt0001.wav").unlink()
    (tmp_path / "mix_clean" / "utt0002.wav").unlink()
    soundfile.write(tmp_path / "s1" / "utt0003.flac", np.zeros(9), 8000)
    (tmp_path / "s1" / "notes.txt").write_text("not audio")
    mixtures, skipped = pair(subset_tree(tmp_path))
    assert [m.id for m in mixtures] == ["utt0000", "utt0003"]
    assert skipped == {"missing mate": ["utt0001 (not in s2)", "utt0002 (not in mix_clean)"],
                       "double name": ["s1/utt0003.wav (beside utt0003.flac)"]}


def test_load_is_exact_and_skips_name_their_reason(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("good", "rate", "channels", "empty", "cut", "cutflac", "nan", "length", "text", "short"):
        write_mixture(tmp_path, name, 20 if name == "short" else 4000, rng)
    s1 = tmp_path / "s1"
    soundfile.write(s1 / "rate.wav", np.zeros(4000), 16000)
    soundfile.write(s1 / "channels.wav", np.zeros((4000, 2)), 8000)
    soundfile.write(s1 / "empty.wav", np.zeros(0), 8000)
    (s1 / "cut.wav").write_bytes((s1 / "cut.wav").read_bytes()[:-1000])
    soundfile.write(s1 / "cutflac.flac", rng.normal(0, 0.1, 4000), 8000)
    (s1 / "cutflac.flac").write_bytes((s1 / "cutflac.flac").read_bytes()[:-2000])
    (s1 / "cutflac.wav").unlink()
    soundfile.write(s1 / "nan.wav", np.full(4000, np.nan), 8000, subtype="FLOAT")
    soundfile.write(s1 / "length.wav", np.zeros(3999), 8000)
    (s1 / "text.wav").write_text("hello")
    mixtures = {m.id: m for m in pair(subset_tree(tmp_path))[0]}
    mixture, sources = load(mixtures.pop("good"), 8000)
    assert np.array_equal(mixture, soundfile.read(tmp_path / "mix_clean" / "good.wav", dtype="int16")[0])
    assert np.array_equal(sources[1], soundfile.read(tmp_path / "s2" / "good.wav", dtype="int16")[0])
    reasons = {}
    for name, item in mixtures.items():
        with pytest.raises(Skip) as skip:
            load(item, 8000, min_samples=100)
        reasons[name] = skip.value.reason
        assert name in str(skip.value)
    assert reasons == {"rate": "other rate", "channels": "several channels", "empty": "empty", "cut": "unreadable",
                       "cutflac": "unreadable", "nan": "NaN or infinite", "length": "other length",
                       "text": "unreadable", "short": "too short"}


def test_manifest_round_trip_and_damage(tmp_path):
    shard = tmp_path / "a.mindrecord"
    shard.write_bytes(b"12345")
    (tmp_path / "a.mindrecord.db").touch()
    manifest = Manifest("train", "x", "sep_clean", 2, 8000, 3, 0.1, 5, 9, [{"file": shard.name, "rows": 3, "bytes": 5}])
    with pytest.raises(UserError, match="not a finished record folder"):
        load_manifest(tmp_path)
    write_manifest(tmp_path, manifest)
    assert load_manifest(tmp_path) == manifest
    shard.write_bytes(b"1234")
    with pytest.raises(UserError, match="truncated"):
        load_manifest(tmp_path)
    shard.unlink()
    with pytest.raises(UserError, match="missing"):
        load_manifest(tmp_path)
    for text in ("{", "[]", '{"version": 1}', '{"version": 99}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(UserError):
            load_manifest(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        load_manifest(tmp_path / "nowhere")

"""Finding and pairing: every layout, every reason to skip."""

import os

import numpy as np
import pytest
import soundfile

from src.core.errors import UserError
from src.data.corpora.mixture_tree import Mixture, Skip, Tree, find_subsets, load, pair, subset_tree
from src.data.records.config import PreprocessConfig
from tests.helpers.corpus_trees import write_audio, write_librimix_tree, write_subset, write_wsj_tree


def find(in_dir, **options):
    return find_subsets(PreprocessConfig(in_dir=str(in_dir), **options))


def ids_of(tree):
    mixtures, skipped = pair(tree)
    assert skipped == {}
    return [mixture.id for mixture in mixtures]


# ---- layouts


@pytest.mark.parametrize("below", ["", "Libri2Mix", "Libri2Mix/wav16k", "Libri2Mix/wav16k/max"])
def test_librimix_from_every_level(tmp_path, below):
    _, ids = write_librimix_tree(tmp_path, {"train-100": 3, "dev": 2, "test": 1}, rate=16000, mode="max")
    trees = find(tmp_path / below, sample_rate=16000, mode="max")
    assert {name: ids_of(tree) for name, tree in trees.items()} == ids


def test_one_subset_is_named_after_its_folder(tmp_path, monkeypatch):
    _, ids = write_librimix_tree(tmp_path, {"dev": 2})
    folder = tmp_path / "Libri2Mix/wav8k/min/dev"
    assert ids_of(find(folder)["dev"]) == ids["dev"]
    monkeypatch.chdir(folder)
    assert list(find(".")) == ["dev"]


def test_tr_cv_tt(tmp_path):
    ids = write_wsj_tree(tmp_path, {"tr": 3, "cv": 2, "tt": 1}, num_spks=3)
    trees = find(tmp_path)
    assert {name: ids_of(tree) for name, tree in trees.items()} == ids
    assert [folder.name for folder in trees["cv"].source_dirs] == ["s1", "s2", "s3"]


def test_flac_and_other_folders_beside(tmp_path):
    ids = write_subset(tmp_path / "train", 2, suffix=".flac")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "train" / "noise").mkdir()
    (tmp_path / "train" / "s1" / "notes.txt").write_text("not audio")
    assert ids_of(find(tmp_path)["train"]) == ids


def test_two_corpora_need_a_choice(tmp_path):
    write_librimix_tree(tmp_path, {"dev": 1}, num_spks=2)
    write_librimix_tree(tmp_path, {"dev": 1}, num_spks=3)
    with pytest.raises(UserError, match="Libri2Mix and Libri3Mix.*--num_spks"):
        find(tmp_path)
    assert len(find(tmp_path, num_spks=3)["dev"].source_dirs) == 3
    assert len(find(tmp_path / "Libri2Mix")["dev"].source_dirs) == 2


@pytest.mark.parametrize("task, mixture, targets", [
    ("sep_clean", "mix_clean", ["s1", "s2"]), ("sep_noisy", "mix_both", ["s1", "s2"]),
    ("enh_single", "mix_single", ["s1"]), ("enh_both", "mix_both", ["mix_clean"])])
def test_tasks(tmp_path, task, mixture, targets):
    write_librimix_tree(tmp_path, {"dev": 1}, noise="mix_both")
    tree = find(tmp_path, task=task)["dev"]
    assert tree.mixture_dir.name == mixture
    assert [folder.name for folder in tree.source_dirs] == targets


def test_subsets_are_chosen_in_the_order_given(tmp_path):
    write_librimix_tree(tmp_path, {"train-100": 1, "dev": 1, "test": 1})
    assert list(find(tmp_path, subsets="test, train-100")) == ["test", "train-100"]
    with pytest.raises(UserError, match="--subsets train-360: not in the corpus, which has dev, test, train-100"):
        find(tmp_path, subsets="train-360")


@pytest.mark.parametrize("options, text", [
    (dict(sample_rate=16000), "has wav8k, but no wav16k/min"), (dict(mode="max"), "no wav8k/max"),
    (dict(task="sep_noisy"), "lacks mix_both or mix"), (dict(task="enh_single"), "lacks mix_single"),
    (dict(num_spks=3), "has 2 source folders, but --num_spks is 3"),
    (dict(num_spks=2, task="enh_both"), "one target")])
def test_what_the_corpus_lacks_is_named(tmp_path, options, text):
    corpus, _ = write_librimix_tree(tmp_path, {"dev": 1})
    with pytest.raises(UserError, match=text):
        find(corpus, **options)


def test_folders_that_are_no_corpus(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no subset folder"):
        find(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a folder"):
        find(tmp_path / "file")


def test_source_folders_with_a_gap_are_refused(tmp_path):
    write_subset(tmp_path / "train", 1)
    (tmp_path / "train" / "s2").rename(tmp_path / "train" / "s3")
    with pytest.raises(UserError, match="s1 s3.*without a gap"):
        find(tmp_path)


def test_subsets_with_different_numbers_of_sources_are_refused(tmp_path):
    write_subset(tmp_path / "train", 1, num_spks=2)
    write_subset(tmp_path / "dev", 1, num_spks=3)
    with pytest.raises(UserError, match="dev 3, train 2"):
        find(tmp_path)


def test_subset_tree_of_another_folder_is_none(tmp_path):
    assert subset_tree(tmp_path) is None


# ---- pairing


def test_pairs_by_name_whatever_order_and_type(tmp_path):
    """Names decide, not order or length: s2 has an extra file in front and its files are FLAC."""
    ids = write_subset(tmp_path, 3)
    for path in list((tmp_path / "s2").iterdir()):
        samples, rate = soundfile.read(path)
        write_audio(path.with_suffix(".FLAC"), samples, rate)
        path.unlink()
    write_audio(tmp_path / "s2" / "0000-first.wav", np.zeros(9), 8000)
    mixtures, skipped = pair(subset_tree(tmp_path))
    assert [m.id for m in mixtures] == ids
    assert all({m.mixture_path.stem, *(p.stem for p in m.source_paths)} == {m.id} for m in mixtures)
    assert skipped == {"missing mate": ["0000-first (not in mix_clean, s1)"]}


def test_missing_mates_on_both_sides(tmp_path):
    ids = write_subset(tmp_path, 4)
    (tmp_path / "s1" / f"{ids[0]}.wav").unlink()
    (tmp_path / "mix_clean" / f"{ids[2]}.wav").unlink()
    mixtures, skipped = pair(subset_tree(tmp_path))
    assert [m.id for m in mixtures] == [ids[1], ids[3]]
    assert skipped == {"missing mate": [f"{ids[0]} (not in s1)", f"{ids[2]} (not in mix_clean)"]}


def test_two_files_with_one_stem_are_not_guessed(tmp_path):
    ids = write_subset(tmp_path, 2)
    write_audio(tmp_path / "s2" / f"{ids[0]}.flac", np.zeros(9), 8000)
    mixtures, skipped = pair(subset_tree(tmp_path))
    assert [m.id for m in mixtures] == [ids[1]]
    assert skipped == {"duplicate stem": [f"{ids[0]} (s2/{ids[0]}.flac s2/{ids[0]}.wav)"]}


def test_a_name_that_is_not_utf8(tmp_path):
    ids = write_subset(tmp_path, 1)
    for name in ("mix_clean", "s1", "s2"):
        write_audio(tmp_path / "new.wav", np.zeros(9), 8000)
        try:
            os.rename(tmp_path / "new.wav", os.fsencode(tmp_path / name) + b"/\xff.wav")
        except OSError:
            pytest.skip("the file system takes UTF-8 names only")
    mixtures, skipped = pair(subset_tree(tmp_path))
    assert [m.id for m in mixtures] == sorted([*ids, "\\xff"]) and not skipped
    signals, _ = load(next(m for m in mixtures if m.id == "\\xff"), 8000)
    assert len(signals) == 9


# ---- loading


def one_mixture(folder, mixture, sources, rate=8000, subtype="PCM_16", suffix=".wav"):
    paths = []
    for name, samples in (("mix", mixture), *((f"s{n + 1}", s) for n, s in enumerate(sources))):
        paths.append(folder / name / f"a{suffix}")
        write_audio(paths[-1], samples, rate, subtype)
    return Mixture("a", paths[0], tuple(paths[1:]))


NOISE = np.random.default_rng(5).uniform(-0.5, 0.5, (3, 4000))


def broken_nan(folder, mixture):
    samples = NOISE[1].astype(np.float32)
    samples[7] = np.nan
    write_audio(mixture.source_paths[0], samples, 8000, "FLOAT")


def broken_inf(folder, mixture):
    samples = NOISE[1].astype(np.float32)
    samples[7] = -np.inf
    write_audio(mixture.source_paths[1], samples, 8000, "FLOAT")


def broken_loud(folder, mixture):
    write_audio(mixture.mixture_path, NOISE[1] * 3, 8000, "FLOAT")


def broken_rate(folder, mixture):
    write_audio(mixture.source_paths[1], NOISE[1], 16000)


def broken_channels(folder, mixture):
    write_audio(mixture.mixture_path, NOISE[:2].T, 8000)


def broken_length(folder, mixture):
    write_audio(mixture.source_paths[0], NOISE[1, :-1], 8000)


def broken_empty(folder, mixture):
    for path in (mixture.mixture_path, *mixture.source_paths):
        write_audio(path, NOISE[0, :0], 8000)


def broken_nothing(folder, mixture):
    mixture.mixture_path.write_bytes(b"")


def broken_text(folder, mixture):
    mixture.mixture_path.write_text("this is not audio " * 9)


def broken_half_wavs(folder, mixture):
    """All three cut alike, as a copy that was stopped leaves them: the lengths agree."""
    for path in (mixture.mixture_path, *mixture.source_paths):
        path.write_bytes(path.read_bytes()[:3000])


def broken_wav_tail(folder, mixture):
    mixture.mixture_path.write_bytes(mixture.mixture_path.read_bytes()[:-2])


def broken_gone(folder, mixture):
    mixture.source_paths[0].unlink()


@pytest.mark.parametrize("damage, reason", [
    (broken_nan, "NaN or infinite"), (broken_inf, "NaN or infinite"), (broken_loud, "beyond full scale"),
    (broken_rate, "other rate"), (broken_channels, "several channels"), (broken_length, "other length"),
    (broken_empty, "empty"), (broken_nothing, "unreadable"), (broken_text, "unreadable"),
    (broken_half_wavs, "unreadable"), (broken_wav_tail, "unreadable"), (broken_gone, "unreadable")])
def test_every_reason_to_skip(tmp_path, damage, reason):
    mixture = one_mixture(tmp_path, NOISE[0], NOISE[1:])
    load(mixture, 8000)
    damage(tmp_path, mixture)
    with pytest.raises(Skip) as caught:
        load(mixture, 8000)
    assert caught.value.reason == reason


@pytest.mark.parametrize("keep", [200, 0.5, -3])
def test_truncated_flac(tmp_path, keep):
    mixture = one_mixture(tmp_path, NOISE[0], NOISE[1:], suffix=".flac")
    path = mixture.source_paths[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(Skip) as caught:
        load(mixture, 8000)
    assert caught.value.reason == "unreadable"


def test_flac_header_with_an_absurd_length(tmp_path):
    """STREAMINFO's total of samples set to nearly 2^36: no attempt to allocate that."""
    mixture = one_mixture(tmp_path, NOISE[0], NOISE[1:], suffix=".flac")
    data = bytearray(mixture.mixture_path.read_bytes())
    data[21], data[22] = data[21] | 0x0F, 0xFF
    mixture.mixture_path.write_bytes(data)
    with pytest.raises(Skip) as caught:
        load(mixture, 8000)
    assert caught.value.reason == "unreadable"


def test_wav_written_to_a_pipe_is_read(tmp_path):
    """Writers to a pipe leave the largest length in the header."""
    mixture = one_mixture(tmp_path, NOISE[0], NOISE[1:])
    expected = load(mixture, 8000)[0]
    data = bytearray(mixture.mixture_path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    mixture.mixture_path.write_bytes(data)
    assert np.array_equal(load(mixture, 8000)[0], expected)


def test_too_short(tmp_path):
    mixture = one_mixture(tmp_path, NOISE[0], NOISE[1:])
    load(mixture, 8000, min_samples=4000)
    with pytest.raises(Skip) as caught:
        load(mixture, 8000, min_samples=4001)
    assert caught.value.reason == "too short"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sixteen_bits_come_through_exactly(tmp_path, suffix):
    pcm = np.random.default_rng(1).integers(-32768, 32768, (3, 5000)).astype(np.int16)
    pcm[:, :2] = -32768, 32767
    mixture, sources = load(one_mixture(tmp_path, pcm[0], pcm[1:], suffix=suffix), 8000)
    assert mixture.dtype == sources.dtype == np.int16
    assert np.array_equal(mixture, pcm[0]) and np.array_equal(sources, pcm[1:])


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wider_formats_are_rounded(tmp_path, subtype):
    mixture, sources = load(one_mixture(tmp_path, NOISE[0], NOISE[1:], subtype=subtype), 8000)
    assert np.abs(np.stack([mixture, *sources]) - NOISE * 32768).max() <= 0.51


def test_full_scale_float_is_not_beyond_it(tmp_path):
    samples = np.clip(NOISE * 4, -1, 1)
    mixture, _ = load(one_mixture(tmp_path, samples[0], samples[1:], subtype="FLOAT"), 8000)
    assert mixture.min() == -32768 and mixture.max() == 32767


def test_tree_is_plain_folders(tmp_path):
    """A Tree can be made by hand, for folders with other names."""
    write_subset(tmp_path, 2)
    tree = Tree(tmp_path / "mix_clean", (tmp_path / "s2", tmp_path / "s1"), "sep_clean")
    mixtures, _ = pair(tree)
    assert [path.parent.name for path in mixtures[0].source_paths] == ["s2", "s1"]

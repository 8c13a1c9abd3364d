"""preprocess.py refused some of what mix.py writes: one voice, four and more, 22.05 kHz, a single kind of mixture."""

import contextlib
import itertools

import numpy as np
import pytest

import mix
import preprocess
from src.core.errors import UserError
from src.data.corpora.librimix_tree import is_info, subset_name, table_name
from src.data.records.manifest import load_manifest
from tests.helpers.corpus_trees import write_audio
from tests.helpers.voices import tone, write_noises

SPEAKERS = 8
RATES = {8000: "wav8k", 16000: "wav16k", 22050: "wav22.05k", 11025: "wav11.025k"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    for n in range(SPEAKERS):
        write_audio(root / "voices" / f"speaker{n}" / "0.wav", tone(200 + 150 * n, 0.6 + 0.02 * n, seed=n), 8000)
    write_noises(root / "noises", files=1, seconds=1.2)
    return root


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    """Jobs run here: a grid of tiny mixtures would wait for the start of worker processes alone."""
    @contextlib.contextmanager
    def pool(function, count):
        yield lambda jobs, progress: [function(job, lambda count=1: progress(count)) for job in jobs]

    for module in ("src.data.records.write_mixtures", "src.data.mixing.gains", "src.data.records.write_recordings"):
        monkeypatch.setattr(f"{module}.worker_pool", pool)


def make(recordings, out, *words, noise=True):
    noises = ["--noise_dir", recordings / "noises"] if noise else []
    mix.main(list(map(str, ["--speech_dir", recordings / "voices", *noises, "--out_dir", out, "--num_mixtures", 2,
                            "--min_seconds", 0.5, *words])))


def take(in_dir, out, *words):
    """preprocess.py's record folder of what mix.py wrote, as a manifest."""
    preprocess.main(list(map(str, ["--in_dir", in_dir, "--out_dir", out, *words])))
    return load_manifest(out / "train")


GRID = [case for case in itertools.product(range(1, SPEAKERS + 1), ("min", "max"), RATES, (True, False))
        if case[0] > 1 or case[3]]


@pytest.mark.parametrize("speakers, mode, rate, noise", GRID, ids=lambda value: str(value))
def test_all_that_mix_writes(recordings, tmp_path, capsys, speakers, mode, rate, noise):
    count = 1 if speakers == SPEAKERS else 2  # one recording each: all eight voices make one mixture
    words = ["--sample_rate", rate, "--mode", mode]
    make(recordings, tmp_path / "mixed", "--num_spks", speakers, *words, "--num_mixtures", count, noise=noise)
    corpus = tmp_path / "mixed" / f"Libri{speakers}Mix"
    branch = corpus / RATES[rate] / mode
    names = {path.stem for path in (branch / "train" / "s1").iterdir()}
    assert len(names) == count and all(len(name.split("_")) == speakers for name in names)

    manifest = take(tmp_path / "mixed", tmp_path / "data", *words)
    task, mixture = ("enh_single", "mix_single") if speakers == 1 else ("sep_clean", "mix_clean")
    assert (manifest.rows, manifest.num_spks, manifest.task, manifest.mixture, manifest.sample_rate) == (
        count, speakers, task, mixture, rate)
    assert manifest.targets == [f"s{n + 1}" for n in range(speakers)] and not manifest.skipped
    seconds = (0.5, 0.8) if mode == "min" else (0.6, 0.8)
    assert seconds[0] * rate < manifest.min_length <= manifest.max_length < seconds[1] * rate

    for place in (corpus, branch.parent, branch, branch / "train"):
        capsys.readouterr()
        preprocess.main(list(map(str, ["--in_dir", place, "--out_dir", tmp_path / "none", *words, "--dry_run"])))
        assert f"train: {count} mixtures, " in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("speakers", [1, 2, 5])
@pytest.mark.parametrize("kind, task", [("mix_clean", "sep_clean"), ("mix_both", "sep_noisy"),
                                        ("mix_single", "enh_single")])
def test_each_kind_alone(recordings, tmp_path, speakers, kind, task):
    make(recordings, tmp_path / "mixed", "--num_spks", speakers, "--wav_types", kind)
    manifest = take(tmp_path / "mixed", tmp_path / "data")
    assert (manifest.task, manifest.mixture, manifest.rows) == (task, kind, 2)
    assert len(manifest.targets) == (1 if task == "enh_single" else speakers)
    # its single voices for dynamic mixing too
    voices = take(tmp_path / "mixed", tmp_path / "speech", "--task", "speech")
    assert len(voices.speakers) == min(2 * speakers, SPEAKERS)


@pytest.mark.parametrize("speakers, noise, task", [(1, True, "enh_single"), (2, True, "sep_clean"),
                                                   (4, False, "sep_clean"), (8, True, "sep_clean")])
def test_its_metadata(recordings, tmp_path, speakers, noise, task):
    make(recordings, tmp_path / "mixed", "--num_spks", speakers, "--num_mixtures", 1, "--metadata_only", noise=noise)
    words = ["--noise_dir", recordings / "noises"] if noise else []
    preprocess.main(list(map(str, ["--speech_dir", recordings / "voices", "--metadata", tmp_path / "mixed" / "metadata",
                                   "--out_dir", tmp_path / "data", *words])))
    manifest = load_manifest(tmp_path / "data" / "train")
    assert (manifest.rows, manifest.num_spks, manifest.task) == (1, speakers, task)


def test_two_corpora_in_one_folder_are_not_guessed(recordings, tmp_path):
    for speakers in (1, 2):
        make(recordings, tmp_path / "mixed", "--num_spks", speakers)
    with pytest.raises(UserError, match="holds Libri1Mix and Libri2Mix; give one of them, or --num_spks"):
        take(tmp_path / "mixed", tmp_path / "data")
    for speakers in (1, 2):
        assert take(tmp_path / "mixed", tmp_path / f"data{speakers}", "--num_spks", speakers).num_spks == speakers


def test_subsets_that_are_named_like_other_parts(recordings, tmp_path):
    for name in ("min", "max", "metadata", "mix", "s1", "wav8k", "Libri2Mix", "-clean"):
        with pytest.raises(UserError, match=f"--subsets {name}: another part of the corpus has this name"):
            make(recordings, tmp_path / "mixed", f"--subsets={name}")
    with pytest.raises(UserError, match="two of them would be written to dev"):
        make(recordings, tmp_path / "mixed", "--subsets", "dev,dev-clean")
    assert not (tmp_path / "mixed").exists()
    make(recordings, tmp_path / "mixed", "--subsets", "info,train-info,tt", "--num_mixtures", "1", noise=False)
    for words in (["--in_dir", tmp_path / "mixed"], ["--speech_dir", recordings / "voices", "--metadata",
                                                      tmp_path / "mixed" / "metadata"]):
        preprocess.main(list(map(str, [*words, "--out_dir", tmp_path / words[0]])))
        assert {path.name for path in (tmp_path / words[0]).iterdir() if path.is_dir()} == {"info", "train-info", "tt"}


def test_names_of_metadata():
    for name in ("libri2mix_dev-clean_info.csv", "libri3mix_train-clean-100_info.csv", "speakers-info.csv", "info.csv"):
        assert is_info(name)
    for name, subset in (("libri2mix_train-clean-100.csv", "train-100"), ("libri1mix_info.csv", "info"),
                         ("my.csv", "my"), (table_name(8, "test"), "test"), ("libri8mix_train-info.csv", "train-info")):
        assert subset_name(name) == subset and not is_info(name)


def test_noise_is_what_it_was(recordings, tmp_path):
    """The records of an enhancement corpus hold the noisy voice and the voice, sample for sample."""
    from src.audio.files import read_pcm16
    from src.data.loading.mixtures import Records

    make(recordings, tmp_path / "mixed", "--num_spks", 1, "--noise", "snr")
    take(tmp_path / "mixed", tmp_path / "data")
    folder = tmp_path / "mixed" / "Libri1Mix" / "wav8k" / "min" / "train"
    rows = list(Records(tmp_path / "data" / "train").read(range(2), ("id", "mixture", "sources")))
    for row in rows:
        for key, part in (("mixture", "mix_single"), ("sources", "s1")):
            expected = read_pcm16(folder / part / f"{row['id']}.wav", 8000)
            assert np.array_equal(np.frombuffer(row[key], "<i2"), expected)

"""mix.py as a user runs it, and preprocess.py on what it wrote."""

import filecmp

import numpy as np
import pytest
import soundfile

from tests.helpers.librimix_reference import generate
from tests.helpers.synth import assert_one_line_error, run
from tests.helpers.voices import write_noises, write_voices


def wavs(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.wav")}


def make(root, out, *more):
    return run("mix.py", "--speech_dir", root / "voices", "--noise_dir", root / "noises", "--out_dir", out, *more)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mix")
    write_voices(root / "voices", files=4, seconds=(1.1, 2.5), rate=16000, suffix=".flac")
    write_noises(root / "noises", seconds=1.8, rate=16000, channels=2)
    return root


@pytest.fixture(scope="module")
def made(root):
    result = make(root, root / "out", "--subsets", "train,dev", "--shares", "60,40", "--num_mixtures", "40,6",
                  "--num_workers", 2)
    assert result.returncode == 0, result.stderr
    return root / "out"


def test_the_same_again_with_other_workers_and_another_with_another_seed(root, made, tmp_path):
    words = ["--subsets", "train,dev", "--shares", "60,40", "--num_mixtures", "40,6"]
    assert make(root, tmp_path / "one", *words, "--num_workers", 1).returncode == 0
    assert wavs(tmp_path / "one") == wavs(made) and len(wavs(made)) == 46 * 6
    assert filecmp.cmp(tmp_path / "one" / "metadata" / "libri2mix_train.csv", made / "metadata" / "libri2mix_train.csv",
                       shallow=False)
    assert make(root, tmp_path / "two", *words, "--seed", 2, "--metadata_only").returncode == 0
    other = (tmp_path / "two" / "metadata" / "libri2mix_train.csv").read_text()
    assert other != (made / "metadata" / "libri2mix_train.csv").read_text() and not wavs(tmp_path / "two")


def test_mixtures_are_the_sums_of_their_parts(made):
    folder = made / "Libri2Mix" / "wav8k" / "min" / "train"
    for path in (folder / "mix_both").iterdir():
        pcm = {part: soundfile.read(folder / part / path.name, dtype="int16")[0].astype(int)
               for part in ("s1", "s2", "noise", "mix_clean", "mix_both", "mix_single")}
        assert np.abs(pcm["mix_clean"] - pcm["s1"] - pcm["s2"]).max() <= 1
        assert np.abs(pcm["mix_single"] - pcm["s1"] - pcm["noise"]).max() <= 1
        assert np.abs(pcm["mix_both"] - pcm["mix_clean"] - pcm["noise"]).max() <= 1


def test_an_independent_generator_makes_the_same_of_the_metadata(root, made, tmp_path):
    ids = generate(made / "metadata" / "libri2mix_dev.csv", root / "voices", root / "noises", tmp_path, 8000, "min")
    assert len(ids) == 6
    for path in tmp_path.rglob("*.wav"):
        ours = made / "Libri2Mix" / "wav8k" / "min" / "dev" / path.relative_to(tmp_path)
        expected, found = (soundfile.read(p, dtype="int16")[0].astype(int) for p in (path, ours))
        assert np.abs(expected - found).max() <= 1


def test_the_metadata_makes_the_same_wavs_and_records(root, made, tmp_path):
    result = run("preprocess.py", "--librispeech_dir", root / "voices", "--wham_dir", root / "noises", "--metadata",
                 made / "metadata", "--write_wav", tmp_path / "again", "--out_dir", tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert wavs(tmp_path / "again") == wavs(made)
    result = run("preprocess.py", "--in_dir", made, "--out_dir", tmp_path / "from_wav", "--subsets", "dev")
    assert result.returncode == 0 and "dev: 6 rows" in result.stdout, result.stderr


def test_rooms_windows_rates_and_enhancement_are_repeated_too(root, tmp_path):
    write_voices(tmp_path / "voices", files=2, seconds=(3, 4), rate=11025)
    write_voices(tmp_path / "rooms" / "a", files=2, seconds=(0.1, 0.2), rate=8000, speakers=("anna",))
    words = ["--rir_dir", tmp_path / "rooms", "--max_seconds", 2]
    first = run("mix.py", "--speech_dir", tmp_path / "voices", "--noise_dir", root / "noises", *words, "--num_spks", 1,
                "--noise", "snr", "--num_mixtures", 8, "--out_dir", tmp_path / "out")
    assert first.returncode == 0, first.stderr
    header = (tmp_path / "out" / "metadata" / "libri1mix_train.csv").read_text().splitlines()[0]
    assert header.split(",")[5:] == ["sample_rate", "source_1_start", "source_1_frames", "source_1_rir"]
    again = ["--librispeech_dir", tmp_path / "voices", "--wham_dir", root / "noises", "--wav_types", "mix_single",
             "--metadata", tmp_path / "out" / "metadata", "--write_wav", tmp_path / "again", "--out_dir", ""]
    result = run("preprocess.py", *again, "--rir_dir", tmp_path / "rooms")
    assert result.returncode == 0, result.stderr
    assert wavs(tmp_path / "again") == wavs(tmp_path / "out")
    assert set(p.parent.name for p in (tmp_path / "out").rglob("*.wav")) == {"mix_single", "s1", "noise"}
    assert_one_line_error(run("preprocess.py", *again), "--rir_dir is missing")
    result = run("preprocess.py", "--in_dir", tmp_path / "out" / "Libri1Mix", "--task", "enh_single", "--out_dir",
                 tmp_path / "data")
    assert result.returncode == 0 and "train: 8 rows" in result.stdout, result.stderr


def test_finished_work_stays(root, made):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()}
    words = ["--subsets", "train,dev", "--shares", "60,40", "--num_mixtures", "40,6"]
    result = make(root, made, *words)
    assert result.returncode == 0 and "already finished" in result.stdout, result.stderr
    assert_one_line_error(make(root, made, *words, "--seed", 9), "libri2mix_train.csv", "choose another --out_dir")
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file()} == before
    assert_one_line_error(run("mix.py", "--out_dir", made), "--speech_dir is missing")

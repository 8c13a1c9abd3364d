"""A length that a header does not tell, or that is only guessed: every reader reads until nothing comes."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from src.audio import ffmpeg as media
from src.audio.files import AudioError, measure, probe, read_mono, read_pcm16, read_span
from src.audio.streams import Recording
from src.data.corpora.librimix import _look
from src.data.corpora.mixture_tree import Mixture, load
from src.data.mixing.config import MixConfig
from src.data.mixing.make_mixtures import make_mixtures, plan
from src.data.records.config import PreprocessConfig
from src.data.records.write_recordings import pieces, preprocess_recordings
from src.separation.separate_file import separate_file
from src.separation.separator import Separator
from tests.helpers.voices import write_voices
from tests.regressions.audio_files import RATE, encoded, likeness, put, sound, without_index, without_length
from tests.unit.audio.test_audio_stream import AU, fake_ffmpeg
from tests.unit.separation.test_separator import Bands

SECONDS = 6.0
LENGTH = round(SECONDS * RATE)
MP3_SLACK = 3 * 1152  # what an encoder and a decoder put around the samples


def read(path):
    with Recording(path) as recording:
        return recording, np.concatenate(list(recording.blocks()), 1)[0]


@pytest.fixture(scope="module")
def samples():
    return sound(SECONDS)


@pytest.fixture(scope="module")
def streamed_flac(tmp_path_factory, samples):
    """A FLAC of unknown length, and its samples as a whole one has them."""
    folder = tmp_path_factory.mktemp("flac")
    data = encoded(folder, "whole.flac", samples)
    (folder / "streamed.flac").write_bytes(without_length(data))
    return folder / "streamed.flac", soundfile.read(folder / "whole.flac", dtype="int16")[0]


@pytest.mark.parametrize("quiet", ["start", "end"])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_an_index_is_read_to_its_end(tmp_path, samples, capfd, quiet, mode):
    """The size of its first frame says nothing of the others: the guess is far too short or too long."""
    level = np.where(np.arange(LENGTH) < LENGTH // 3, 1e-5, 1) if quiet == "start" else np.where(
        np.arange(LENGTH) < LENGTH // 4, 1, 1e-5)
    shaped = (samples * level).astype(np.float32)
    data = without_index(encoded(tmp_path, "whole.mp3", shaped, bitrate_mode=mode, compression_level=0.5))
    (tmp_path / "a.mp3").write_bytes(data)
    recording, got = read(tmp_path / "a.mp3")
    assert recording.frames is None and LENGTH <= len(got) <= LENGTH + MP3_SLACK
    assert likeness(got, shaped)[0] > 0.98
    assert capfd.readouterr().err == "", "libmpg123 has its own opinion of good files"


def test_an_mp3_with_an_index_of_a_part_is_read_to_its_end(tmp_path, samples):
    first, second = sound(2, seed=1), sound(3, seed=2)
    data = encoded(tmp_path, "1.mp3", first, bitrate_mode="VARIABLE") + without_index(
        encoded(tmp_path, "2.mp3", second, bitrate_mode="VARIABLE"))
    (tmp_path / "a.mp3").write_bytes(data)
    recording, got = read(tmp_path / "a.mp3")
    assert 5 * RATE <= len(got) <= 5 * RATE + 2 * MP3_SLACK
    assert likeness(got[: 2 * RATE], first)[0] > 0.98 and likeness(got[2 * RATE :], second)[0] > 0.98


def test_an_mp3_with_an_index_keeps_its_exact_length(tmp_path, samples):
    data = encoded(tmp_path, "a.mp3", samples)
    recording, got = read(tmp_path / "a.mp3")
    assert recording.frames == len(got) == LENGTH and likeness(got, samples) == (pytest.approx(1, abs=0.02), 0)
    tag = b"ID3\x03\0\0\0\0\x7f\x7f" + bytes(0x3FFF)  # a picture before, a name behind
    (tmp_path / "b.mp3").write_bytes(tag + data + b"TAG" + bytes(125))
    assert np.array_equal(read(tmp_path / "b.mp3")[1], got)


def test_an_mp3_that_begins_within_a_frame(tmp_path, samples, capfd):
    data = encoded(tmp_path, "a.mp3", samples)
    (tmp_path / "b.mp3").write_bytes(data[len(data) // 3 :])
    _, got = read(tmp_path / "b.mp3")
    assert len(got) == pytest.approx(LENGTH * 2 / 3, rel=0.05)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("claim", [None, 0xFFFFFFFF])
def test_mp3_in_a_wav(tmp_path, samples, claim):
    data = without_index(encoded(tmp_path, "a.mp3", samples, bitrate_mode="VARIABLE"))
    size = len(data) if claim is None else claim
    form = bytearray(30)
    form[:16] = np.array([0x55, 1], "<u2").tobytes() + np.array([RATE, 8000], "<u4").tobytes() + b"\1\0\0\0"
    form[16:18] = b"\x0c\0"
    head = b"RIFF\xff\xff\xff\xffWAVEfmt " + len(form).to_bytes(4, "little") + bytes(form)
    (tmp_path / "a.wav").write_bytes(head + b"data" + size.to_bytes(4, "little") + data)
    _, got = read(tmp_path / "a.wav")
    assert LENGTH <= len(got) <= LENGTH + MP3_SLACK and likeness(got, samples)[0] > 0.98


def unclosed_wav(data):
    return put(put(data, 4, "<I", 0), data.index(b"data") + 4, "<I", 0)


def streamed_rf64(data):
    at = data.index(b"ds64") + 8
    return put(data, at, "<QQ", 0, 0)


STREAMED = {
    "unclosed.wav": ("WAV", unclosed_wav),
    "pipe.wav": ("WAV", lambda d: put(put(d, 4, "<I", 0xFFFFFFFF), d.index(b"data") + 4, "<I", 0xFFFFFFFF)),
    "rf64.wav": ("RF64", streamed_rf64),
    "a.caf": ("CAF", lambda d: put(d, d.index(b"data") + 4, ">q", -1)),
    "a.au": ("AU", lambda d: put(d, 8, ">I", 0xFFFFFFFF)),
    "0.au": ("AU", lambda d: put(d, 8, ">I", 0)),
    "a.aiff": ("AIFF", lambda d: put(put(put(d, 4, ">I", 0), d.index(b"COMM") + 10, ">I", 0),
                                     d.index(b"SSND") + 4, ">I", 0)),
    "a.w64": ("W64", lambda d: put(d, d.index(b"data\xf3\xac") + 16, "<Q", (1 << 63) - 1)),
}


@pytest.mark.parametrize("name", STREAMED)
def test_headers_that_a_stream_never_filled_in(tmp_path, samples, name):
    form, change = STREAMED[name]
    data = encoded(tmp_path, name, samples, format=form, subtype="PCM_16")
    expected = read(tmp_path / name)[1]
    changed = change(data)
    assert changed != data
    (tmp_path / name).write_bytes(changed)
    assert np.array_equal(read(tmp_path / name)[1][:LENGTH], expected)
    assert measure(tmp_path / name).frames in range(LENGTH, LENGTH + 9)  # other chunks may be taken for samples


@pytest.mark.parametrize("name", ["unclosed.wav", "pipe.wav", "rf64.wav"])
def test_beyond_4_gigabytes(tmp_path, samples, name):
    """As a hole in the file; a wav has 32 bits for its size."""
    form, change = STREAMED[name]
    (tmp_path / name).write_bytes(change(encoded(tmp_path, name, samples, format=form, subtype="PCM_16")))
    with open(tmp_path / name, "r+b") as file:
        file.truncate(5_000_000_000)
    if form == "RF64":
        assert probe(tmp_path / name).frames == pytest.approx(2.5e9, rel=1e-6)
    else:
        with pytest.raises(AudioError, match=f"{name}: a wav of more than 4 GB without a length"):
            Recording(tmp_path / name)


def test_a_flac_of_unknown_length_in_every_reader(streamed_flac):
    path, pcm = streamed_flac
    assert probe(path) == (None, RATE, 1) and measure(path) == (LENGTH, RATE, 1)
    assert np.array_equal(read_pcm16(path, RATE), pcm)
    assert np.array_equal(read_mono(path)[0], pcm / np.float32(32768))
    for start, frames in ((0, -1), (5000, 1000), (70000, -1), (LENGTH - 10, 500)):
        end = None if frames < 0 else start + frames
        assert np.array_equal(read_span(path, start, frames)[0], pcm[start:end] / np.float32(32768))
    with pytest.raises(AudioError, match="holds no samples"):
        read_span(path, LENGTH + 5, 100)
    recording, got = read(path)
    assert recording.frames is None and np.array_equal(got, pcm / np.float32(32768))
    assert sum(map(len, pieces(path, RATE))) == LENGTH
    assert load(Mixture("a", path, (path, path)), RATE)[1].shape == (2, LENGTH)
    assert _look(path, "speech").frames == LENGTH and _look(path, "noise").frames == LENGTH


def test_separating_it_gives_as_many_samples(streamed_flac, tmp_path):
    path, _ = streamed_flac
    done = separate_file(Separator(Bands()), path, [tmp_path / "s1.wav", tmp_path / "s2.wav"])
    assert done.frames == LENGTH == soundfile.info(tmp_path / "s1.wav").frames


@pytest.fixture
def voices(tmp_path):
    """Two speakers; one of the recordings is a FLAC of unknown length."""
    root = write_voices(tmp_path / "voices", files=2, seconds=(2, 3), speakers=("anna", "ben"))
    data = encoded(tmp_path, "long.flac", sound(9, 8000), 8000)
    (root / "anna" / "long.flac").write_bytes(without_length(data))
    return root


def test_mixing_and_preprocessing_it(voices, tmp_path):
    config = MixConfig(speech_dir=str(voices), out_dir=str(tmp_path / "mixed"), subsets="train", shares="100",
                       num_mixtures="4", sample_rate=8000, max_seconds=4.0, num_workers=1)
    starts = {extra for row in plan(config)["train"] for extra in zip(row.source_paths, row.extra.starts)}
    assert {path for path, start in starts if start} <= {"anna/long.flac"}
    make_mixtures(config)
    assert len(list((tmp_path / "mixed").rglob("mix_clean/*.wav"))) == 4
    manifest = preprocess_recordings(PreprocessConfig(in_dir=str(voices), out_dir=str(tmp_path / "records"),
                                                      task="speech", num_workers=1))["voices"]
    assert not manifest.skipped and sum(manifest.speakers["anna"]) > 9 * 8000
    preprocess_recordings(PreprocessConfig(in_dir=str(voices), out_dir=str(tmp_path / "dry"), task="speech",
                                           dry_run=True))


def test_a_flac_that_promises_what_its_bytes_cannot_hold(voices, tmp_path, samples, capsys):
    """Windows of 2^36 samples would be 1 GB of plan."""
    data = bytearray(encoded(tmp_path, "lie.flac", sound(3, 8000), 8000))
    data[21:26] = bytes([data[21] | 0x0F, 255, 255, 255, 255])
    (voices / "ben" / "lie.flac").write_bytes(data)
    with pytest.raises(AudioError, match="lie.flac: truncated or damaged: its header promises 68719476735 samples"):
        probe(voices / "ben" / "lie.flac")
    plan(MixConfig(speech_dir=str(voices), out_dir=str(tmp_path / "x"), subsets="train", shares="100", num_mixtures="2",
                   sample_rate=8000))
    assert "voices: skipped 1, unreadable: ben/lie" in capsys.readouterr().out


@pytest.mark.parametrize("name, form", [("a.wav", "WAV"), ("b.wav", "RF64"), ("a.flac", "FLAC"), ("a.aiff", "AIFF"),
                                        ("a.au", "AU"), ("a.w64", "W64"), ("a.caf", "CAF"), ("a.mp3", "MP3")])
def test_a_known_length_that_is_not_there_is_still_refused(tmp_path, samples, monkeypatch, name, form):
    monkeypatch.setattr(media, "available", lambda: False)
    data = encoded(tmp_path, name, samples, format=form)
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(AudioError, match=f"{name}: (truncated|damaged after)"):
        read(tmp_path / name)
    with pytest.raises(AudioError, match=f"{name}: (truncated|damaged after)"):
        read_mono(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("header", ["known", "unknown"])
def test_a_damaged_flac_says_where(tmp_path, samples, header, share):
    """Of less than a block as of more: "damaged after 0.0 s" was said wherever it was."""
    noise = np.random.default_rng(0).normal(0, 0.1, LENGTH // 2)  # as many bytes everywhere
    data = bytearray(encoded(tmp_path, "a.flac", noise))
    at = round(share * len(data))
    data[at : at + 300] = bytes(300)
    (tmp_path / "a.flac").write_bytes(data if header == "known" else without_length(data))
    with pytest.raises(AudioError, match="a.flac: damaged after") as error:
        read(tmp_path / "a.flac")
    place = float(str(error.value).split("after ")[1].split(" s")[0])
    assert place == pytest.approx(share * SECONDS / 2, abs=0.35)


def test_memory_does_not_grow_with_an_unknown_length(tmp_path):
    data = encoded(tmp_path, "a.flac", np.tile(sound(10), 30))
    (tmp_path / "a.flac").write_bytes(without_length(data))
    tracemalloc.start()
    with Recording(tmp_path / "a.flac") as recording:
        total = sum(block.shape[1] for block in recording.blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 300 * RATE and peak < 8e6


def test_the_service_holds_its_limit_while_it_reads(streamed_flac, tmp_path):
    pytest.importorskip("fastapi")
    from src.service.bodies import inspect
    from src.service.errors import ServiceError
    from src.service.recording_work import recording_work

    path, _ = streamed_flac
    assert inspect(path, "mean", None, 3.0) == (None, RATE)
    paths = [tmp_path / "s1.wav", tmp_path / "s2.wav"]
    for limit in (3.0, SECONDS - 0.1):
        work = recording_work(Separator(Bands(), window=1, overlap=0.2), path, paths, "mean", None, limit)
        with pytest.raises(ServiceError, match="s long or more") as error:
            work.run(work)
        assert error.value.status == 413 and not list(tmp_path.glob("s*.wav"))
    work = recording_work(Separator(Bands()), path, paths, "mean", None, SECONDS)
    assert work.run(work).frames == LENGTH


def test_a_film_without_sound(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    said = "Stream map '' matches no streams.\nTo ignore this, add ...\nError opening output files: Invalid argument"
    fake_ffmpeg(tmp_path, f"sys.exit({said!r})")
    with pytest.raises(AudioError) as error:
        Recording(tmp_path / "film.mp4")
    assert str(error.value) == f"{tmp_path / 'film.mp4'}: the file has no sound track"


def test_what_ffmpeg_complained_of_without_failing(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_ffmpeg(tmp_path, f"{AU}; sys.stdout.buffer.write(head + bytes(80000))\n"
                          "sys.stderr.write('[aac @ 0x5] Prediction is not allowed\\nError submitting packet\\n')")
    with Recording(tmp_path / "film.mp4") as recording:
        assert sum(block.shape[1] for block in recording.blocks()) == 10000
        assert list(recording.notes()) == ["ffmpeg complained 2 times: Prediction is not allowed"]

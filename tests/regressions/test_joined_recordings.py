"""Files joined by cat, and the links of a chained Ogg: all of them come out, or it is said what cannot be read."""

import numpy as np
import pytest

from src.audio import ffmpeg as media
from src.audio.files import AudioError, measure, read_mono
from src.audio.streams import Recording
from tests.regressions.audio_files import RATE, encoded, likeness, put, sound

SECONDS = 3


def read(path):
    with Recording(path) as recording:
        return np.concatenate(list(recording.blocks()), 1)[0], list(recording.notes()), recording.frames


@pytest.mark.parametrize("name, options", [
    ("a.mp3", dict(bitrate_mode="VARIABLE")), ("b.mp3", dict(bitrate_mode="CONSTANT")), ("a.ogg", {}),
    ("a.opus", dict(format="OGG", subtype="OPUS")), ("a.flac", {}), ("a.wav", {}), ("f.wav", dict(subtype="FLOAT")),
    ("r.wav", dict(format="RF64")), ("a.au", {}), ("a.aiff", {}), ("a.w64", {})])
def test_all_parts_come_out(tmp_path, capfd, name, options):
    parts = [sound(SECONDS, seed=1), sound(SECONDS + 1, seed=2)]
    data = [encoded(tmp_path, name, part, **options) for part in parts]
    (tmp_path / name).write_bytes(b"".join(data))
    got, notes, frames = read(tmp_path / name)
    assert len(got) == frames == sum(map(len, parts))
    assert notes == ["2 recordings joined in one file, read one after the other"]
    for part, start in zip(parts, (0, len(parts[0]))):
        assert likeness(got[start : start + len(part)], part) == (pytest.approx(1, abs=0.03), 0)
    with pytest.raises(AudioError, match="2 recordings joined in one file; cut it into its parts"):
        read_mono(tmp_path / name)  # in a corpus it is a mistake: named and left out
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.wav", "a.flac"])
def test_the_same_file_twice_and_many_times(tmp_path, name):
    data = encoded(tmp_path, name, sound(1))
    (tmp_path / name).write_bytes(20 * data)
    got, notes, _ = read(tmp_path / name)
    assert len(got) == 20 * RATE and notes[0].startswith("20 recordings joined")
    assert np.array_equal(got[:RATE], got[-RATE:])


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.wav", "a.flac"])
@pytest.mark.parametrize("other", [dict(rate=8000), dict(channels=2)])
def test_parts_of_different_kinds_are_refused(tmp_path, name, other):
    first = encoded(tmp_path, name, sound(2))
    samples = sound(2, other.get("rate", RATE))
    samples = np.stack([samples] * 2, 1) if "channels" in other else samples
    second = encoded(tmp_path, name, samples, other.get("rate", RATE))
    (tmp_path / name).write_bytes(first + second)
    with pytest.raises(AudioError, match=f"{name}: 2 recordings joined in one file, with different sample rates"):
        read(tmp_path / name)


def test_a_second_part_that_is_cut(tmp_path):
    data = encoded(tmp_path, "a.wav", sound(2))
    (tmp_path / "a.wav").write_bytes(data + data[:5000])
    with pytest.raises(AudioError, match="truncated"):
        read(tmp_path / "a.wav")


def test_chunks_behind_the_samples_are_no_recordings(tmp_path):
    data = encoded(tmp_path, "a.wav", sound(2))
    (tmp_path / "a.wav").write_bytes(data + b"LIST\x04\0\0\0INFO" + b"id3 \x03\0\0\0abc\0" + bytes(3000))
    got, notes, frames = read(tmp_path / "a.wav")
    assert len(got) == frames == 2 * RATE and not notes and measure(tmp_path / "a.wav").frames == frames


def test_a_wav_that_counts_less_than_it_holds(tmp_path):
    """The size of one beyond 4 GB begins again at 0."""
    data = encoded(tmp_path, "a.wav", sound(2))
    (tmp_path / "a.wav").write_bytes(put(data, data.index(b"data") + 4, "<I", 8000))
    got, notes, _ = read(tmp_path / "a.wav")
    assert len(got) == 4000
    assert notes == ["56000 bytes behind its samples are not read: its header does not count them"]
    (tmp_path / "a.wav").write_bytes(data + encoded(tmp_path, "b.flac", sound(2)))
    assert "behind its samples are not read" in read(tmp_path / "a.wav")[1][0]


def test_an_mp3_with_damage_within(tmp_path):
    """Much of it is refused, a bit is told."""
    data = encoded(tmp_path, "a.mp3", sound(20), bitrate_mode="CONSTANT")
    junk = bytes(np.random.default_rng(1).integers(0, 200, 3000, np.uint8))
    (tmp_path / "a.mp3").write_bytes(data + junk + data)
    got, notes, _ = read(tmp_path / "a.mp3")
    assert len(got) == 40 * RATE and "damaged: 3000 bytes of it are no MP3 and are left out" in notes
    (tmp_path / "a.mp3").write_bytes(data + junk * 20 + data)
    with pytest.raises(AudioError, match="a.mp3: damaged: [0-9]* or more of its [0-9]* bytes are no MP3"):
        read(tmp_path / "a.mp3")


def test_an_ogg_without_its_end_says_so(tmp_path):
    data = encoded(tmp_path, "a.ogg", sound(20))
    (tmp_path / "a.ogg").write_bytes(data[: len(data) * 2 // 3])
    got, notes, _ = read(tmp_path / "a.ogg")
    assert 5 * RATE < len(got) < 15 * RATE and notes == ["it has no end mark: it may have been cut"]


def test_joined_and_cut_films(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "available", lambda: True)
    film = b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x0cmdat1234"
    (tmp_path / "two.m4a").write_bytes(film + film)
    (tmp_path / "cut.m4a").write_bytes(film[:-2])
    with pytest.raises(AudioError, match="two.m4a: 2 recordings joined in one file"):
        read(tmp_path / "two.m4a")
    with pytest.raises(AudioError, match="cut.m4a: truncated"):
        read(tmp_path / "cut.m4a")

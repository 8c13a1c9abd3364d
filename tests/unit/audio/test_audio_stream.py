"""Recordings read and written block by block: every format, headers that lie, disks that fill up."""

import os
import stat
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from src.audio import ffmpeg as media
from src.audio.streams import BLOCK, Recording, Writer
from src.core.errors import UserError

RATE, LENGTH = 44100, 3 * BLOCK // 2


@pytest.fixture(scope="module")
def samples():
    return np.clip(np.random.default_rng(0).normal(0, 0.1, (LENGTH, 2)), -1, 1).astype(np.float32)


def read(path):
    with Recording(path) as recording:
        return recording, np.concatenate(list(recording.blocks()), 1).T


@pytest.mark.parametrize("name, subtype, error", [
    ("a.wav", "PCM_16", 4e-5), ("a.wav", "PCM_24", 1e-6), ("a.wav", "FLOAT", 0), ("a.flac", "PCM_16", 4e-5),
    ("a.aiff", "PCM_16", 4e-5), ("a.mp3", None, None), ("a.ogg", None, None), ("a.w64", "PCM_16", 4e-5)])
def test_reads_every_format_to_the_sample(tmp_path, samples, name, subtype, error):
    soundfile.write(tmp_path / name, samples, RATE, subtype)
    recording, got = read(tmp_path / name)
    assert (recording.sample_rate, recording.channels, recording.frames) == (RATE, 2, LENGTH)
    assert got.shape == samples.shape and got.dtype == np.float32
    if error is not None:
        assert np.abs(got - samples).max() <= error


@pytest.mark.parametrize("claim, expected", [(0xFFFFFFFF, LENGTH), (0x7FFFFFFF, LENGTH), (4000, 1000),
                                             (0, "no samples"), (4 * LENGTH + 400, "truncated")])
def test_a_wav_header_that_lies(tmp_path, samples, claim, expected):
    soundfile.write(tmp_path / "a.wav", samples, RATE, "PCM_16")
    data = (tmp_path / "a.wav").read_bytes()
    at = data.index(b"data") + 4
    (tmp_path / "b.wav").write_bytes(data[:at] + struct.pack("<I", claim) + data[at + 4 :])
    if isinstance(expected, str):
        with pytest.raises(UserError, match=f"b.wav: .*{expected}"):
            read(tmp_path / "b.wav")
    else:
        assert len(read(tmp_path / "b.wav")[1]) == expected


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_file_that_is_cut_is_named(tmp_path, samples, name):
    soundfile.write(tmp_path / name, samples, RATE)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=f"{name}: (truncated|damaged|is not readable)"):
        read(tmp_path / name)


def test_what_is_no_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "film.mp4").write_text("hello")
    (tmp_path / "dir.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name, word in (("none.wav", "no such file"), ("empty.wav", "0 bytes"), ("text.wav", "not readable audio"),
                       ("film.mp4", "no ffmpeg program"), ("dir.wav", "folder"), ("pipe.wav", "is no file")):
        with pytest.raises(UserError, match=word) as error:
            Recording(tmp_path / name)
        assert name in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    (tmp_path / "a.wav").chmod(0)
    with pytest.raises(UserError, match="permission denied"):
        Recording(tmp_path / "a.wav")


def test_nan_and_infinite_samples_become_silence_and_are_counted(tmp_path, samples):
    broken = samples.copy()
    broken[BLOCK + 5, 1] = np.nan
    broken[BLOCK + 9] = np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", broken, RATE, "FLOAT")
    recording, got = read(tmp_path / "a.wav")
    assert (recording.replaced, recording.first_replaced) == (3, BLOCK + 5)
    assert np.array_equal(got, np.where(np.isfinite(broken), broken, 0))


def fake_ffmpeg(folder, code):
    """A program named ffmpeg, in Python."""
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


AU = "import struct; head = struct.pack('>4s5I', b'.snd', 24, 0xFFFFFFFF, 6, 22050, 2)"  # 6: 32-bit float


def test_other_formats_come_through_ffmpeg(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_ffmpeg(tmp_path, f"{AU}\nimport array\n"
                          f"assert sys.argv[sys.argv.index('-i') + 1] == 'file:{tmp_path}/film.mp4'\n"
                          "out = array.array('f', [k / 100000 for k in range(100000)]); out.byteswap()\n"
                          "sys.stdout.buffer.write(head + out.tobytes())")
    recording, got = read(tmp_path / "film.mp4")
    assert (recording.sample_rate, recording.channels, recording.frames) == (22050, 2, None)
    assert np.allclose(got.reshape(-1), np.arange(100000) / 100000, atol=1e-7)


@pytest.mark.parametrize("code, word", [
    ("sys.exit('film.mp4: moov atom not found')", "moov atom not found"),
    (f"{AU}; sys.stdout.buffer.write(head + bytes(80000)); sys.stdout.flush(); sys.exit('lost it')", "lost it"),
    (f"{AU}; sys.stdout.buffer.write(head)", "no samples")])
def test_what_ffmpeg_cannot_read(tmp_path, monkeypatch, code, word):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_ffmpeg(tmp_path, code)
    with pytest.raises(UserError, match=f"film.mp4.*{word}"):
        read(tmp_path / "film.mp4")


def test_a_decoder_that_gets_nowhere_is_ended(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(media, "CPU_SECONDS", 1)
    fake_ffmpeg(tmp_path, f"{AU}\nsys.stdout.buffer.write(head + bytes(8))\nsys.stdout.flush()\nwhile True: pass")
    with pytest.raises(UserError, match="film.mp4.*given up after 1 s of CPU time"):
        read(tmp_path / "film.mp4")


@pytest.mark.skipif(not media.available(), reason="there is no ffmpeg")
def test_the_sound_of_a_film(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    subprocess.run(["ffmpeg", "-v", "error", "-i", "a.wav", "-c:a", "aac", "-b:a", "192k", "film.m4a"],
                   cwd=tmp_path, check=True)
    recording, got = read(tmp_path / "film.m4a")
    assert (recording.sample_rate, recording.channels) == (RATE, samples.shape[1])
    assert 0 <= len(got) - LENGTH < 2048, "AAC comes in frames of 1024 samples"


def test_a_decoder_that_is_not_read_to_its_end_is_ended(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_text("a film")
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_ffmpeg(tmp_path, f"{AU}\nsys.stdout.buffer.write(head)\nwhile True: sys.stdout.buffer.write(bytes(1 << 20))")
    with Recording(tmp_path / "film.mp4") as recording:
        next(recording.blocks())
    assert recording._reader._decoder._process.returncode is not None


@pytest.mark.parametrize("audio_format", ["wav", "flac", "ogg", "mp3"])
def test_writes_every_format_to_the_sample(tmp_path, samples, audio_format):
    paths = [tmp_path / "new" / f"{c}.{audio_format}" for c in range(2)]
    with Writer(dict.fromkeys(paths, 1), RATE, audio_format, LENGTH) as writer:
        for start in range(0, LENGTH, 100000):
            writer.write(samples.T[:, start : start + 100000])
        assert not any(path.exists() for path in paths)
        writer.commit()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [path.name for path in paths]
    for path, want in zip(paths, samples.T):
        got, rate = soundfile.read(path)
        assert rate == RATE and len(got) == LENGTH
        assert np.corrcoef(got, want)[0, 1] > (0.999999 if audio_format in ("wav", "flac") else 0.5)


def test_writing_that_fails_leaves_nothing(tmp_path, samples):
    (tmp_path / "file").write_text("")
    for path, rate, kind, word in (("file/a.wav", RATE, "wav", "Not a directory|exists"),
                                   ("a.mp3", 192000, "mp3", "192000 Hz"), ("a.ogg", 384000, "ogg", "384000 Hz"),
                                   ("a.flac", 700000, "flac", "700000 Hz")):
        with pytest.raises(UserError, match=word):
            Writer({tmp_path / path: 1}, rate, kind, 5)
    with pytest.raises(KeyboardInterrupt), Writer({tmp_path / "b.wav": 2}, RATE, "wav", LENGTH) as writer:
        writer.write(samples.T)
        raise KeyboardInterrupt
    with pytest.raises(UserError, match="10 of 11 samples"), Writer({tmp_path / "c.wav": 2}, RATE, "wav", 11) as writer:
        writer.write(samples.T[:, :10])
        writer.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

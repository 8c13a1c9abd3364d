"""Reading, writing and rejecting audio."""

import numpy as np
import pytest
import soundfile

from src.audio.files import from_pcm16, probe, read_mono, to_pcm16, write_wav
from src.core.errors import UserError


@pytest.mark.parametrize("name, subtype", [("a.wav", "PCM_16"), ("a.flac", "PCM_16"), ("a.wav", "PCM_24"),
                                           ("a.wav", "FLOAT"), ("a.flac", "PCM_24")])
def test_reads_every_pcm_exactly(tmp_path, name, subtype):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 999).astype(np.int16)
    soundfile.write(tmp_path / name, pcm / 32768, 8000, subtype=subtype)
    samples, rate = read_mono(tmp_path / name)
    assert rate == 8000 and samples.dtype == np.float32
    assert np.array_equal(to_pcm16(samples), pcm)
    assert np.array_equal(samples, from_pcm16(pcm))


def test_write_clips_and_leaves_no_temporary(tmp_path):
    write_wav(tmp_path / "deep" / "x.wav", np.array([0.5, 2.0, -2.0]), 16000)
    assert np.array_equal(soundfile.read(tmp_path / "deep" / "x.wav", dtype="int16")[0], [16384, 32767, -32768])
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.wav"]


def test_errors_name_the_file_and_the_reason(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "two.wav", np.zeros((10, 2)), 8000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "fast.wav", np.zeros(10), 16000)
    for name, word in (("missing.wav", "no such file"), ("empty.wav", "0 bytes"), ("text.wav", "not readable audio"),
                       ("none.wav", "no samples"), ("two.wav", "2 channels"), ("nan.wav", "NaN"),
                       ("fast.wav", "16000 Hz, expected 8000"), (".", "folder")):
        with pytest.raises(UserError, match=word) as error:
            read_mono(tmp_path / name, 8000)
        assert str(tmp_path / name) in str(error.value)


def test_truncated_flac_is_noticed(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 20000), 8000)
    path.write_bytes(path.read_bytes()[:-9000])
    assert probe(path).frames == 20000
    with pytest.raises(UserError):
        read_mono(path)

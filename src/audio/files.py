"""The one place that reads and writes audio files (through libsndfile): whole ones; src/audio/streams.py long ones."""

import io
import os
import struct
from collections import namedtuple
from pathlib import Path

import numpy as np
import soundfile
import soxr

from src.core.errors import UserError
from src.core.files import replacing

PCM_SCALE = 32768  # int16 full scale: float = pcm / PCM_SCALE
AUDIO_SUFFIXES = (".wav", ".flac")

# A wav whose data chunk claims this much or more was written to a pipe, its length unknown: ffmpeg, sox.
STREAMED_BYTES = 0x7FFF0000

AudioInfo = namedtuple("AudioInfo", "frames sample_rate channels")


class AudioError(UserError):
    """A file that cannot be used. ``reason`` is the category to count it under."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


def probe(path):
    """Return :class:`AudioInfo` (frames, sample_rate in Hz, channels) from the header alone.

    Raises:
        AudioError: missing, or not an audio file libsndfile can read.
    """
    try:
        info = soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError as error:
        raise AudioError("unreadable", f"{path}: {reason_of(path, error)}") from None
    return AudioInfo(info.frames, info.samplerate, info.channels)


def read_mono(path, sample_rate=None):
    """Read a mono file as float32 [T] in [-1, 1].

    Args:
        path: wav or FLAC.
        sample_rate (int): the rate it must have, Hz; None accepts any.
    Returns:
        tuple: (samples float32 [T], sample_rate Hz).
    Raises:
        AudioError: missing, unreadable, truncated, empty, several channels, other rate, NaN or infinite samples.
    """
    samples, rate, _ = _read(path, sample_rate, whole=False)
    return samples.astype(np.float32), rate


def read_pcm16(path, sample_rate):
    """Read a mono file as int16 [T]: 16-bit files bit for bit, others rounded.

    Raises:
        AudioError: as :func:`read_mono`, and float samples beyond full scale, which int16 cannot hold.
    """
    samples, _, integer = _read(path, sample_rate, whole=True)
    if integer:
        return samples
    if np.abs(samples).max() * PCM_SCALE > PCM_SCALE + 0.5:
        raise AudioError("beyond full scale", f"{path}: peak is {np.abs(samples).max():.3f}, beyond full scale; "
                                              "scale the mixture and its sources down together")
    return to_pcm16(samples)


def read_span(path, start=0, frames=-1, sample_rate=None):
    """At most ``frames`` samples (-1: all) of a file's first channel from sample ``start`` on.

    Args:
        sample_rate (int): the rate it must have, Hz; None accepts any.
    Returns:
        tuple: (samples float32 [T] in [-1, 1], sample_rate Hz).
    Raises:
        AudioError: missing, unreadable, truncated, nothing there, other rate, NaN or infinite samples.
    """
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            _check_rate(path, file.samplerate, sample_rate)
            expected = max(file.frames - start, 0)
            expected = expected if frames < 0 else min(frames, expected)
            file.seek(min(start, file.frames))
            samples = file.read(expected, dtype="float32", always_2d=True)[:, 0]
            rate, riff = file.samplerate, file.format in ("WAV", "WAVEX")
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError("unreadable", f"{path}: {reason_of(path, error)}") from None
    except (MemoryError, ValueError):
        raise AudioError("unreadable", f"{path}: corrupt or streamed: its length is not known") from None
    if samples.size < expected or (riff and cut_short(path)):
        raise AudioError("unreadable", f"{path}: truncated: its header promises more samples than are there")
    if samples.size == 0:
        raise AudioError("empty", f"{path}: holds no samples")
    if not np.isfinite(samples).all():
        raise AudioError("NaN or infinite", f"{path}: holds NaN or infinite samples")
    return samples, rate


def read_first_channel(path, sample_rate, frames):
    """At most the first ``frames`` samples of a file's first channel, float32 [T]; see :func:`read_span`."""
    return read_span(path, 0, frames, sample_rate)[0]


def resample(samples, rate, new_rate):
    """Samples [T] at another rate (soxr, high quality), float32; unchanged where the rates are equal."""
    if rate == new_rate:
        return samples
    return soxr.resample(np.asarray(samples, np.float32), rate, new_rate)


def _check_rate(path, found, wanted):
    if wanted is not None and found != wanted:
        raise AudioError("other rate", f"{path}: sample rate is {found} Hz, expected {wanted} Hz; resample it first")


def _read(path, sample_rate, whole):
    """(samples [T], rate Hz, whether they are int16): int16 if ``whole`` and the file has 16 bits, else float64."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            _check_rate(path, rate, sample_rate)
            if channels != 1:
                raise AudioError("several channels", f"{path}: has {channels} channels, expected 1; "
                                                     "pick or mix down a channel first")
            # float64 carries 16- and 24-bit PCM exactly
            integer = whole and file.subtype == "PCM_16"
            samples = file.read(dtype="int16" if integer else "float64")
            riff = file.format in ("WAV", "WAVEX")
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError("unreadable", f"{path}: {reason_of(path, error)}") from None
    except (MemoryError, ValueError):
        raise AudioError("unreadable", f"{path}: corrupt or streamed: its header promises {frames} samples") from None
    if samples.size < frames or (riff and cut_short(path)):
        raise AudioError("unreadable", f"{path}: truncated: its header promises more samples than the "
                                       f"{samples.size} that are there")
    if samples.size == 0:
        raise AudioError("empty", f"{path}: holds no samples")
    if not integer and not np.isfinite(samples).all():
        raise AudioError("NaN or infinite", f"{path}: holds NaN or infinite samples")
    return samples, rate, integer


def cut_short(path):
    """Whether a wav ends before its data chunk says; libsndfile reads what is there without a word."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(4) != b"RIFF":
            return False
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                return length < STREAMED_BYTES and file.tell() + length > size
            file.seek(length + length % 2, os.SEEK_CUR)
    return False


def to_pcm16(samples):
    """Round float samples in [-1, 1] to int16; values beyond full scale are clipped."""
    return np.clip(np.rint(np.asarray(samples, np.float64) * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(np.int16)


def to_pcm16_as_written(samples):
    """Float samples to int16 just as libsndfile writes them to a 16-bit wav, which is how LibriMix is defined: rounded
    down, not to the nearest; values beyond full scale are clipped."""
    wide = np.asarray(samples) * np.asarray(2.0**31, samples.dtype)  # it converts to 32 bits ...
    np.rint(wide, out=wide)
    wide *= 2.0**-16  # ... and drops the lower half; all of this is exact in float32 too
    np.floor(wide, out=wide)
    return np.clip(wide, -PCM_SCALE, PCM_SCALE - 1, out=wide).astype(np.int16)


def from_pcm16(pcm):
    """int16 samples as float32 in [-1, 1)."""
    return pcm.astype(np.float32) / PCM_SCALE


def wav_bytes(pcm, sample_rate):
    """int16 samples [T] as the contents of a 16-bit wav."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def mp3_bytes(samples, sample_rate):
    """Float samples [T] as the contents of an MP3 file of variable bit rate, 16 kHz or more: every browser plays it and
    jumps in it (Chromium fails to jump in short FLAC files)."""
    rate = max(sample_rate, 16000)  # lower ones are a later addition to the format
    buffer = io.BytesIO()
    soundfile.write(buffer, resample(samples, sample_rate, rate), rate, format="MP3", subtype="MPEG_LAYER_III",
                    bitrate_mode="VARIABLE", compression_level=0.3)
    return buffer.getvalue()


def write_wav(path, samples, sample_rate):
    """Write float samples [T] as 16-bit wav: to a temporary name beside it, then renamed.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        with replacing(path) as temporary:
            soundfile.write(os.fsencode(temporary), to_pcm16(samples), sample_rate, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: cannot write: {getattr(error, 'strerror', None) or error}") from None


def reason_of(path, error):
    """Why a file cannot be read, in a few words."""
    path = Path(path)
    if not path.exists():
        return "no such file"
    if path.is_dir():
        return "is a folder, expected an audio file"
    if not path.is_file():
        return "is no file that can be read twice; give - for what comes through a pipe"
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    if not os.access(path, os.R_OK):
        return "permission denied"
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return f"is not readable audio ({text})"

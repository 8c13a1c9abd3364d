"""The one place that reads and writes audio files (through libsndfile)."""

import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import soundfile

from src.errors import UserError

PCM_SCALE = 32768  # int16 full scale: float = pcm / PCM_SCALE
AUDIO_SUFFIXES = (".wav", ".flac")

AudioInfo = namedtuple("AudioInfo", "frames sample_rate channels")


def probe(path):
    """Return :class:`AudioInfo` (frames, sample_rate in Hz, channels) from the header alone.

    Raises:
        UserError: missing, or not an audio file libsndfile can read.
    """
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {_reason(path, error)}") from None
    return AudioInfo(info.frames, info.samplerate, info.channels)


def read_mono(path, sample_rate=None):
    """Read a mono file as float32 [T] in [-1, 1].

    Args:
        path: wav or FLAC.
        sample_rate (int): the rate it must have, Hz; None accepts any.
    Returns:
        tuple: (samples float32 [T], sample_rate Hz).
    Raises:
        UserError: missing, unreadable, truncated, empty, several channels, other rate, NaN or infinite samples.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            if sample_rate is not None and rate != sample_rate:
                raise UserError(f"{path}: sample rate is {rate} Hz, expected {sample_rate} Hz; resample it first")
            if channels != 1:
                raise UserError(f"{path}: has {channels} channels, expected 1; pick or mix down a channel first")
            # float64 carries 16- and 24-bit PCM exactly
            samples = file.read(dtype="float64")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {_reason(path, error)}") from None
    if samples.size == 0:
        raise UserError(f"{path}: holds no samples")
    if samples.size < frames:
        raise UserError(f"{path}: truncated: the header promises {frames} samples, {samples.size} are there")
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: holds NaN or infinite samples")
    return samples.astype(np.float32), rate


def to_pcm16(samples):
    """Round float samples in [-1, 1] to int16; values beyond full scale are clipped."""
    return np.clip(np.rint(np.asarray(samples, np.float64) * PCM_SCALE), -PCM_SCALE, PCM_SCALE - 1).astype(np.int16)


def from_pcm16(pcm):
    """int16 samples as float32 in [-1, 1)."""
    return pcm.astype(np.float32) / PCM_SCALE


def write_wav(path, samples, sample_rate):
    """Write float samples [T] as 16-bit wav: to a temporary name beside it, then renamed.

    Raises:
        UserError: the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(str(temporary), to_pcm16(samples), sample_rate, subtype="PCM_16", format="WAV")
        os.replace(temporary, path)
    except (OSError, soundfile.LibsndfileError) as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot write: {getattr(error, 'strerror', None) or error}") from None


def _reason(path, error):
    path = Path(path)
    if not path.exists():
        return "no such file"
    if path.is_dir():
        return "is a folder, expected an audio file"
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return f"is not readable audio ({text})"

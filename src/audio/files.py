"""The one place that reads and writes audio files (through libsndfile): whole ones; src/audio/streams.py long ones."""

import io
import os
import sys
from collections import namedtuple

import numpy as np
import soundfile
import soxr

from src.audio.reader import AudioError, Reader
from src.core.errors import UserError
from src.core.files import replacing

PCM_SCALE = 32768  # int16 full scale: float = pcm / PCM_SCALE
BLOCK = 1 << 16  # samples read at a time where only their number is wanted

AudioInfo = namedtuple("AudioInfo", "frames sample_rate channels")


def probe(path):
    """Return :class:`AudioInfo` (frames, sample_rate in Hz, channels) from the header alone; frames is None where the
    header does not tell.

    Raises:
        AudioError: missing, or not an audio file libsndfile can read.
    """
    with Reader(path, thorough=False) as file:
        return AudioInfo(file.frames, file.sample_rate, file.channels)


def measure(path):
    """:func:`probe` with the frames in any case: where the header does not tell, the file is read to its end.

    Raises:
        AudioError: as :func:`probe`; not one whole recording, as far as had to be read.
    """
    with Reader(path, thorough=False) as file:
        _check_whole(path, file)
        frames = file.frames
        if frames is None:
            while len(file.read(BLOCK)):
                pass
            frames = file.done
        return AudioInfo(frames, file.sample_rate, file.channels)


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
    with Reader(path) as file:
        _check_rate(path, file.sample_rate, sample_rate)
        _check_whole(path, file)
        file.skip(start)
        samples = file.read(sys.maxsize if frames < 0 else frames)[:, 0]
        if frames < 0 or samples.size < frames:
            _check_lost(path, file)
    _check_samples(path, samples)
    return samples, file.sample_rate


def read_blocks(path, seconds):
    """Yield all of a file's first channel, so many seconds at a time: (samples float32 [T], sample_rate Hz).

    Raises:
        AudioError: as :func:`read_span`; what was given before is whole.
    """
    with Reader(path) as file:
        _check_whole(path, file)
        while (samples := file.read(seconds * file.sample_rate)[:, 0]).size or not file.done:
            _check_samples(path, samples)
            yield samples, file.sample_rate
        _check_lost(path, file)


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


def _check_whole(path, file):
    """Raise :class:`AudioError` for a file that is not one whole recording, as far as its bytes tell."""
    if file.problem:
        raise AudioError("unreadable", f"{path}: {file.problem}")
    if file.joined > 1:
        raise AudioError("unreadable", f"{path}: {file.joined} recordings joined in one file; cut it into its parts")


def _check_lost(path, file):
    if file.lost:
        raise AudioError("unreadable", f"{path}: damaged: {file.lost} samples of it cannot be read")


def _check_samples(path, samples):
    if samples.size == 0:
        raise AudioError("empty", f"{path}: holds no samples")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise AudioError("NaN or infinite", f"{path}: holds NaN or infinite samples")


def _read(path, sample_rate, whole):
    """(samples [T], rate Hz, whether they are int16): int16 if ``whole`` and the file has 16 bits, else float64."""
    with Reader(path) as file:
        _check_rate(path, file.sample_rate, sample_rate)
        if file.channels != 1:
            raise AudioError("several channels", f"{path}: has {file.channels} channels, expected 1; "
                                                 "pick or mix down a channel first")
        _check_whole(path, file)
        # float64 carries 16- and 24-bit PCM exactly
        integer = whole and file.subtype == "PCM_16"
        samples = file.read(sys.maxsize, "int16" if integer else "float64")[:, 0]
        _check_lost(path, file)
    _check_samples(path, samples)
    return samples, file.sample_rate, integer


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

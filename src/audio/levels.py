"""How loud a voice is: the level of its active parts, and its loudness after ITU-R BS.1770."""

import warnings

import numpy as np

FRAME_SECONDS = 0.02
SILENCE_DB = 40.0  # frames so far below the loudest one are pauses, not voice
PEAK = 0.9  # of full scale: what a signal may reach (LibriMix's MAX_AMP)
LOUDNESS_SECONDS = 0.4  # BS.1770 measures blocks of this length


def db(power):
    """Power (mean square) in dB; -inf of nothing."""
    return 10 * float(np.log10(power)) if power > 0 else -np.inf


def gain_of(decibels):
    """The factor that changes a level by so many dB."""
    return 10.0 ** (decibels / 20)


def level(samples):
    """Root mean square of samples [T] in dBFS; full scale is 1."""
    samples = np.asarray(samples, np.float64)
    return db(np.mean(samples * samples)) if samples.size else -np.inf


def active_level(samples, sample_rate):
    """Root mean square in dBFS of samples [T] without their pauses: of the 20 ms frames that are at most 40 dB weaker
    than the strongest. -inf of silence."""
    samples = np.asarray(samples, np.float32)
    size = max(1, round(FRAME_SECONDS * sample_rate))
    whole = len(samples) // size * size
    if not whole:
        return level(samples)
    frames = samples[:whole].reshape(-1, size)
    powers = np.einsum("ft,ft->f", frames, frames, dtype=np.float64) / size
    return db(powers[powers >= powers.max() * 10 ** (-SILENCE_DB / 10)].mean())


def loudness(samples, sample_rate):
    """Integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm as LibriMix does); -inf of silence.

    Raises:
        ValueError: fewer samples than one block of 0.4 s.
    """
    import pyloudnorm  # by this function alone

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # silence: the mean of no blocks
        value = float(pyloudnorm.Meter(sample_rate).integrated_loudness(np.asarray(samples, np.float64)))
    return value if np.isfinite(value) else -np.inf


def protect(*signals):
    """Scale signals together, in place, where one of them passes ``PEAK``; returns the factor (1: nothing to do)."""
    peak = max(float(np.abs(signal).max()) for signal in signals if signal.size)
    if peak <= PEAK:
        return 1.0
    for signal in signals:
        signal *= PEAK / peak
    return PEAK / peak

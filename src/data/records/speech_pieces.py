"""A recording as the rows that dynamic mixing draws from: pieces at the model's rate that are long and loud enough."""

import numpy as np

from src.audio.files import read_blocks, resample, to_pcm16
from src.audio.levels import active_level, protect

PIECE_SECONDS = 20  # longest row
BLOCK_SECONDS = 600  # longest part of a recording that is in memory
SILENT_DBFS = -80.0  # a piece below this holds no voice


def usable_pieces(recording, sample_rate, min_samples, skipped):
    """Yield (id, level in dBFS, int16 [T]) of the pieces of a recording that are long and loud enough.

    Args:
        recording (src.data.corpora.voices.Recording): one voice, or noise.
        sample_rate (int): Hz, of the pieces.
        min_samples (int): shorter ones are left out.
        skipped (dict[str, list]): reason -> names, of what is left out; added to.
    Raises:
        AudioError: a file that cannot be used.
    """
    for n, piece in enumerate(pieces(recording.path, sample_rate)):
        name, level = f"{recording.id}#{n}", active_level(piece, sample_rate)
        if level < SILENT_DBFS or len(piece) < min_samples:
            reason = "silent" if level < SILENT_DBFS else "too short"
            skipped[reason].append(f"{name} ({len(piece) / sample_rate:.1f} s)")
            continue
        yield name, level, to_pcm16(piece)


def pieces(path, sample_rate):
    """Yield a recording as float32 pieces of equal length, at most ``PIECE_SECONDS`` each, at the wanted rate.

    Where the new rate makes peaks beyond full scale the part that is in memory is scaled down.

    Raises:
        AudioError: a file that cannot be used.
    """
    for samples, rate in read_blocks(path, BLOCK_SECONDS):
        samples = np.array(resample(samples, rate, sample_rate))
        if np.abs(samples).max() >= 1:
            protect(samples)
        yield from np.array_split(samples, max(1, -(-len(samples) // (PIECE_SECONDS * sample_rate))))

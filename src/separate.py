"""One recording to one file per speaker."""

from pathlib import Path

import numpy as np

from src.audio import PCM_SCALE, read_mono, write_wav
from src.errors import UserError


def separate_array(model, mixture):
    """Estimates of a whole recording: float32 [T] -> [C, T].

    The network gives nothing for a last piece shorter than its stride, so the input is padded to whole frames.
    """
    hop = model.config.kernel_size // 2
    length = len(mixture)
    if model.length is None:
        mixture = np.pad(mixture, (0, hop))
    estimates = model(mixture[None])[0, :, :length]
    if not np.isfinite(estimates).all():
        raise UserError("the model gives NaN or infinite samples for this input")
    return estimates


def scale_to_mixture(estimates, mixture):
    """One gain for all estimates, the least-squares fit of their sum to the mixture, so that the speakers' relative
    levels stay; lowered where a sample would clip. SI-SNR leaves scale and polarity open: the gain may be negative."""
    total = estimates.sum(0, dtype=np.float64)
    energy = float(total @ total)
    gain = float(total @ mixture) / energy if energy > 0 else 1.0
    peak = float(np.abs(estimates).max()) * abs(gain)
    full_scale = (PCM_SCALE - 1) / PCM_SCALE
    if peak > full_scale:
        gain *= full_scale / peak
    return (estimates * gain).astype(np.float32)


def output_paths(source, out_dir, speakers):
    """<out_dir>/<name>_s1.wav, ..."""
    return [Path(out_dir) / f"{Path(source).stem}_s{c + 1}.wav" for c in range(speakers)]


def separate_file(model, source, out_dir, overwrite=False):
    """Separate one file and write its estimates. Returns the paths written.

    Raises:
        UserError: an input that cannot be used, or outputs that exist.
    """
    paths = output_paths(source, out_dir, model.config.num_spks)
    existing = [path for path in paths if path.exists()]
    if existing and not overwrite:
        raise UserError(f"{existing[0]}: exists; --overwrite replaces it")
    mixture, rate = read_mono(source, model.config.sample_rate)
    estimates = scale_to_mixture(separate_array(model, mixture), mixture)
    for path, estimate in zip(paths, estimates):
        write_wav(path, estimate, rate)
    return paths

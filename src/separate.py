"""One recording to one file per speaker."""

from pathlib import Path

from src.audio import read_mono, write_wav
from src.errors import UserError


def output_paths(source, out_dir, speakers):
    """<out_dir>/<name>_s1.wav, ..."""
    return [Path(out_dir) / f"{Path(source).stem}_s{c + 1}.wav" for c in range(speakers)]


def separate_file(separator, source, out_dir, overwrite=False):
    """Separate one file and write its estimates. Returns the paths written.

    Raises:
        UserError: an input that cannot be used, or outputs that exist.
    """
    paths = output_paths(source, out_dir, separator.num_spks)
    existing = [path for path in paths if path.exists()]
    if existing and not overwrite:
        raise UserError(f"{existing[0]}: exists; --overwrite replaces it")
    mixture, rate = read_mono(source)
    for path, estimate in zip(paths, separator.separate(mixture, rate)):
        write_wav(path, estimate, rate)
    return paths

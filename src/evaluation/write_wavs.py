"""Test mixtures as a plain wav tree for programs that read wavs only."""

from pathlib import Path

from src.audio.files import write_wav
from src.core.errors import UserError
from src.evaluation.scored_data import open_data


def collect(data_dir, out_dir, sample_rate=None, num_spks=None):
    """Check the mixtures of a wav tree or record folder and write them to ``out_dir``/mix, /s1, /s2, ...

    Args:
        sample_rate (int), num_spks (int): what they must be; None takes any.
    Returns:
        tuple: (number written, {reason: [name]} of what was skipped).
    Raises:
        UserError: nothing usable, or ``out_dir`` holds other files than an earlier call's.
    """
    data = open_data(data_dir, sample_rate, num_spks)
    folders = [Path(out_dir) / name for name in ("mix", *(f"s{c + 1}" for c in range(data.num_spks)))]
    if Path(out_dir).resolve() == Path(data_dir).resolve():
        raise UserError(f"{out_dir}: is the test data itself; run in another folder")
    for old in [path for folder in folders if folder.is_dir() for path in folder.iterdir()]:
        if old.suffix != ".wav":
            raise UserError(f"{old}: not a file of an earlier run; run in another folder")
        old.unlink()
    count = 0
    for (item,) in data.batches([[i] for i in range(len(data.lengths))]):
        for folder, signal in zip(folders, (item.mixture, *item.sources)):
            write_wav(folder / f"{item.id}.wav", signal, data.sample_rate)
        count += 1
    return count, data.skipped

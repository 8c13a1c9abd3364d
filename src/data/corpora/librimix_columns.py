"""What mix.py's metadata says beyond LibriMix's columns, for recordings that LibriMix's rules do not cover.

    sample_rate       Hz at which gains are applied; files of other rates are resampled to it (LibriMix: 16000 alone)
    source_n_start    first sample of the recording that is used, at its own rate
    source_n_frames   how many are used, 0 for all that follow
    source_n_rir      room impulse response the source is heard through, below --rir_dir; empty for none
    noise_start       first sample of the noise that is used, at its own rate

Each is there only where it is needed: without them a file is plain LibriMix metadata.
"""

import math
from collections import namedtuple
from pathlib import Path

from src.audio.files import read_span, resample
from src.audio.rooms import read_response, reverberate
from src.core.errors import UserError
from src.core.names import on_disk

# rate in Hz; starts, frames, rirs: one for each source
Extra = namedtuple("Extra", "rate starts frames rirs noise_start")

PER_SOURCE = ("start", "frames", "rir")


def extra_columns(speakers):
    """Names of all further columns."""
    return ["sample_rate", *(f"source_{n + 1}_{what}" for n in range(speakers) for what in PER_SOURCE), "noise_start"]


def parse_extra(cells, speakers, rate, where):
    """The :class:`Extra` of a line, or None if its header has no further column.

    Args:
        cells (dict): texts by column.
        rate (int): Hz where no other is given.
        where (str): file and line, for messages.
    Raises:
        UserError: a number that is none.
    """
    if not set(cells) & set(extra_columns(speakers)):
        return None

    def number(column, default=0):
        text = cells.get(column) or str(default)
        if not text.isascii() or not text.isdigit():
            raise UserError(f"{where}: {column} is {text!r}, expected a whole number")
        return int(text)

    sources = [f"source_{n + 1}" for n in range(speakers)]
    extra = Extra(number("sample_rate", rate), tuple(number(f"{name}_start") for name in sources),
                  tuple(number(f"{name}_frames") for name in sources),
                  tuple(on_disk(cells.get(f"{name}_rir", "")) for name in sources), number("noise_start"))
    if not extra.rate:
        raise UserError(f"{where}: sample_rate is 0")
    return extra


def extra_cells(extras):
    """The further columns that rows with these :class:`Extra` need: {column: [text of each row]}; none for None."""
    if extras[0] is None:
        return {}
    columns = zip(extra_columns(len(extras[0].starts)), zip(*map(_texts, extras)))
    # the rate is what tells a reader that there is more than LibriMix in this file
    return {name: texts for name, texts in columns if name == "sample_rate" or any(texts)}


def _texts(extra):
    yield str(extra.rate)
    for values in zip(extra.starts, extra.frames, extra.rirs):
        yield from (str(value or "") for value in values)
    yield str(extra.noise_start or "")


def read_sources(row, source_root, rir_root):
    """The sources of a row with an :class:`Extra`: C float32 [T_c] at its rate.

    Raises:
        UserError: a file that cannot be used.
    """
    extra, signals = row.extra, []
    for path, start, frames, rir in zip(row.source_paths, extra.starts, extra.frames, extra.rirs):
        signal = resample(*read_span(Path(source_root) / path, start, frames or -1), extra.rate)
        if rir:
            signal, _ = reverberate(signal, read_response(Path(rir_root) / rir, extra.rate), extra.rate)
        signals.append(signal)
    return signals


def read_extra_noise(path, extra, samples, own_rate):
    """At most the first ``samples`` from ``noise_start`` on, at the rate of ``extra``, float32, the first channel."""
    wanted = math.ceil(samples * own_rate / extra.rate)
    return resample(*read_span(path, extra.noise_start, wanted), extra.rate)[:samples]


def length_at(frames, start, used, own_rate, rate):
    """Samples at ``rate`` of a recording of ``frames`` at its own rate, of which ``used`` (0: all) from ``start`` on
    are used."""
    left = max(frames - start, 0)
    return math.ceil((min(used, left) if used else left) * rate / own_rate)

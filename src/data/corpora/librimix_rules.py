"""What a row of LibriMix metadata means: which files, which gains, and the signals they give.

The definition is that of LibriMix (Cosentino et al. 2020, arXiv 2005.11262; generator JorisCos/LibriMix, MIT). Widths
are part of it: signals are float32, a noise that had to be extended is float64, mixtures are summed in float32.
"""

import csv
import math
import re
from collections import namedtuple
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from src.audio.files import AudioError, measure, probe, read_first_channel, read_mono
from src.core.errors import UserError
from src.core.names import on_disk
from src.data.corpora.librimix_columns import parse_extra, read_extra_noise, read_sources

RATE = 16000  # Hz, of the sources and noises
FADE = RATE // 2 + 1  # samples over which one repetition of a noise passes into the next
FILTER_REACH = 20  # samples beside its place, of the lower rate, that resample_poly looks at, and some
MIXTURES = ("mix_clean", "mix_both", "mix_single")
SPEEDS = {"sp08": (5, 4), "sp12": (5, 6)}  # suffix of a noise played at 0.8 or 1.2 times its speed -> up, down
MAX_SPEAKERS = 8  # what a model can have; see src.network.dprnn.config

# source_paths, source_gains: C of each. noise_path and noise_gain: None in a file without noise. extra: None in a plain
# LibriMix file, else what mix.py's further columns say, a src.data.corpora.librimix_columns.Extra.
Row = namedtuple("Row", "id source_paths source_gains noise_path noise_gain extra", defaults=(None,))
# sources [C, T] and noise [T] (None without it) of one mixture, at its final rate and length
Rendered = namedtuple("Rendered", "sources noise")


def read_metadata(path):
    """The rows of a metadata CSV: mixture_ID, source_1_path, source_1_gain, ..., noise_path, noise_gain.

    Both noise columns may be absent. Those of :mod:`librimix_columns` are heeded, other columns are passed over.

    Returns:
        list[Row]: in the order of the file, each with the same number of sources.
    Raises:
        UserError: unreadable; a column missing, an id that is used twice or is no file name, a gain that is no number:
            with the column or line.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            speakers, noise = _columns(path, header)
            rows = [_row(path, reader.line_num, dict(zip(header, values)), len(values) == len(header), speakers, noise)
                    for values in reader if values]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if not rows:
        raise UserError(f"{path}: has a header and no mixtures")
    seen = set()
    twice = [row.id for row in rows if row.id in seen or seen.add(row.id)]
    if twice:
        raise UserError(f"{path}: mixture_ID {twice[0]} is there twice ({len(twice)} such rows); ids must differ")
    return rows


def _columns(path, header):
    """(number of sources, whether there is noise) of a header."""
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise UserError(f"{path}: column {repeated[0]} is there twice")
    numbers = [int(match[1]) for match in (re.fullmatch(r"source_([1-9]\d*)_(?:path|gain)", name) for name in header)
               if match]
    speakers = max(numbers, default=1)
    if speakers > MAX_SPEAKERS:
        raise UserError(f"{path}: has {speakers} sources in a mixture, at most {MAX_SPEAKERS} can be separated")
    noise = "noise_path" in header or "noise_gain" in header
    wanted = ["mixture_ID"] + [f"source_{n + 1}_{what}" for n in range(speakers) for what in ("path", "gain")]
    wanted += ["noise_path", "noise_gain"] * noise
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UserError(f"{path}: lacks column {', '.join(missing)}; is it LibriMix metadata? its header is "
                        f"{','.join(header)[:120] or 'empty'}")
    return speakers, noise


def _row(path, line, cells, whole, speakers, noise):
    if not whole:
        raise UserError(f"{path}, line {line}: has another number of columns than the header")

    def gain(column):
        try:
            value = float(cells[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{path}, line {line}: {column} is {cells[column]!r}, expected a number")
        return value

    def text(column):
        if not cells[column] or "\0" in cells[column]:
            raise UserError(f"{path}, line {line}: {column} is empty or no name")
        return cells[column]

    if "/" in text("mixture_ID") or len(cells["mixture_ID"].encode()) > 240:
        raise UserError(f"{path}, line {line}: mixture_ID {cells['mixture_ID'][:80]} is no file name")
    names = [f"source_{n + 1}" for n in range(speakers)]
    return Row(cells["mixture_ID"], tuple(on_disk(text(f"{name}_path")) for name in names),
               tuple(gain(f"{name}_gain") for name in names), on_disk(text("noise_path")) if noise else None,
               gain("noise_gain") if noise else None,
               parse_extra(cells, speakers, RATE, f"{path}, line {line}"))


def read_row(row, source_root, noise_root=None, rir_root=None):
    """The files of a row, as they are.

    Args:
        source_root: folder that ``source_paths`` are below.
        noise_root: folder that ``noise_path`` is below; None leaves the noise out.
        rir_root: folder that room impulse responses are below, for rows that name some.
    Returns:
        tuple: (C float32 [T_c], noise float32 [at most the longest T_c] or None), all at :func:`rate_of` the row.
    Raises:
        AudioError: a file that cannot be used, for the reasons of :func:`src.audio.files.read_mono`.
    """
    if row.extra:
        sources = read_sources(row, source_root, rir_root)
    else:
        sources = [read_mono(Path(source_root) / path, RATE)[0] for path in row.source_paths]
    if noise_root is None or row.noise_path is None:
        return sources, None
    path, longest = Path(noise_root) / row.noise_path, max(map(len, sources))
    if row.extra:
        return sources, read_extra_noise(path, row.extra, longest, probe(path).sample_rate)
    return sources, read_noise(path, longest)


def rate_of(row):
    """Hz at which a row's gains are applied."""
    return row.extra.rate if row.extra else RATE


def read_noise(path, samples):
    """At most the first ``samples`` of a noise at 16 kHz, float32, the first channel.

    A noise ``…sp08.wav`` or ``…sp12.wav`` that is not there is made from the one it is the slow or fast copy of.
    """
    original, ratio = unperturbed(path)
    if ratio is None or path.exists() or not original.exists():
        return read_first_channel(path, RATE, samples)
    up, down = ratio
    # a little more than is needed, so that the filter does not meet an end that is not there
    part = read_first_channel(original, RATE, -(-samples * down // up) + RATE)
    return resample_poly(part, up, down)[:samples]


def unperturbed(path):
    """(path of the noise that ``path`` is a slow or fast copy of, (up, down) of the resampling), or (None, None)."""
    path = Path(path)
    for suffix, ratio in SPEEDS.items():
        if path.stem.endswith(suffix):
            return path.with_name(path.stem.removesuffix(suffix) + path.suffix), ratio
    return None, None


def noise_frames(path):
    """Length of a noise at 16 kHz, from headers where they tell, made ones (see :func:`read_noise`) included."""
    original, ratio = unperturbed(path)
    if ratio is None or path.exists() or not original.exists():
        return measure(path).frames
    return -(-measure(original).frames * ratio[0] // ratio[1])


def render(sources, gains, noise, noise_gain, sample_rate, mode, rate=RATE):
    """Sources and noise of one mixture by LibriMix's rules: extend the noise, then gain, then rate, then length.

    Args:
        sources: C float32 arrays [T_c] at ``rate``, of any lengths.
        gains: C factors.
        noise: float32 [N] at ``rate`` or None; beyond the longest source it is not used, a shorter one is repeated.
        sample_rate (int): of the result, Hz.
        mode: "min" cuts everything to the shortest source, "max" pads with zeros to the longest. The noise is as
            long as the longest source, so it never decides.
        rate (int): of what is given, Hz; LibriMix's is 16 kHz.
    Returns:
        Rendered: sources float32 [C, T], noise float32 or float64 [T] or None.
    Raises:
        AudioError: the noise is too short to be extended.
    """
    signals = [source * float(gain) for source, gain in zip(sources, gains, strict=True)]
    if noise is not None:
        longest = max(map(len, sources))
        signals.append(extend(noise[:longest], longest) * float(noise_gain))
    if mode == "min":  # what will be cut off need not be resampled, but for the reach of the filter
        kept = min(map(len, sources)) + FILTER_REACH * (1 + rate // sample_rate)
        signals = [signal[:kept] for signal in signals]
    signals = [resample_poly(signal, sample_rate, rate) for signal in signals]
    if mode == "min":
        length = -(-min(map(len, sources)) * sample_rate // rate)
        signals = [signal[:length] for signal in signals]
    else:
        length = max(map(len, signals))
        signals = [np.pad(signal, (0, length - len(signal))) for signal in signals]
    return Rendered(np.stack(signals[: len(sources)]), signals[-1] if noise is not None else None)


def extend(noise, samples):
    """A noise [N] repeated to [samples], each repetition faded into the next over 8001 samples (half a Hann window).

    Raises:
        AudioError: N is less than ``samples`` and not more than the fade.
    """
    if len(noise) >= samples:
        return noise[:samples]
    if len(noise) <= FADE:
        raise AudioError("noise too short", f"a noise of {len(noise)} samples cannot be extended to {samples}: each "
                                            f"joint takes {FADE}")
    window = np.hanning(2 * FADE - 1)
    rise, fall = window[:FADE], window[FADE - 1 :]
    whole = noise
    while len(whole) < samples:
        whole = np.concatenate((whole[:-FADE], whole[-FADE:] * fall + noise[:FADE] * rise, noise[FADE:]))
    return whole[:samples]


def mix(rendered, kind):
    """The mixture float32 [T] of a :class:`Rendered`.

    Args:
        kind: "mix_clean" the sources, "mix_both" with noise, "mix_single" the first source with noise.
    """
    parts = list(rendered.sources[:1] if kind == "mix_single" else rendered.sources)
    if kind != "mix_clean":
        parts.append(rendered.noise)
    mixture = np.zeros_like(rendered.sources[0])
    for part in parts:
        mixture += part
    return mixture

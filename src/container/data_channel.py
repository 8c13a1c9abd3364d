"""The data a container gets (`/opt/ml/input/data/<channel>`), as a tr/cv tree that preprocess.py takes.

A channel holds a mixture tree (`mix* s1 s2`, at its root or one folder below), or WHAM's lists: `mix_both.json`
(`mix_clean.json`, `mix_single.json`, `mix.json`), `s1.json`, `s2.json`, each `[[path, samples], ...]` in one order.
"""

import json
import os
import re
from pathlib import Path

from src.audio.files import AudioError, probe, read_mono, resample, write_wav
from src.core.errors import UserError
from src.data.corpora.mixture_tree import MIXTURE_DIRS, Mixture, pair, subset_tree

HOLD_OUT = 10  # without a validation channel every so many-th mixture validates
LISTS = ("mix_both", "mix_clean", "mix_single", "mix")


def find_mixtures(folder):
    """The mixtures of a channel: (list[Mixture], {reason: [name]} of what cannot be paired).

    Raises:
        UserError: nothing there that is one of the forms above.
    """
    folder = Path(folder)
    if any((folder / f"{name}.json").is_file() for name in LISTS):
        return _of_lists(folder), {}
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
    for task in MIXTURE_DIRS:
        trees = [(place, tree) for place in places if (tree := subset_tree(place, task))]
        if len(trees) > 1:
            raise UserError(f"{folder}: holds {', '.join(place.name for place, _ in trees)}; give one subset a channel")
        if trees:
            return pair(trees[0][1])
    raise UserError(f"{folder}: holds neither a mixture folder with s1 s2 ... nor lists (mix_both.json s1.json ...)")


def _of_lists(folder):
    name = next(name for name in LISTS if (folder / f"{name}.json").is_file())
    sources = sorted(path for path in folder.glob("s*.json") if re.fullmatch(r"s[1-9]", path.stem))
    columns = []
    for path in (folder / f"{name}.json", *sources):
        try:
            columns.append([_place(folder, row[0]) for row in json.loads(path.read_text(encoding="utf-8"))])
        except (OSError, ValueError, TypeError, IndexError, KeyError):
            raise UserError(f"{path}: expected a list [[path, samples], ...]") from None
    if not sources or len({len(column) for column in columns}) != 1:
        counts = ", ".join(f"{path} {len(column)}" for path, column in zip((name, *(p.stem for p in sources)), columns))
        raise UserError(f"{folder}: lists of different length, or without s1.json s2.json ({counts})")
    return [Mixture(f"{i:06d}_{row[0].stem}", row[0], tuple(row[1:])) for i, row in enumerate(zip(*columns))]


def _place(folder, path):
    """A file of a list: where it says, or, if the list was made elsewhere, the same name below the channel."""
    path = Path(path)
    if path.is_absolute() and path.is_file():
        return path
    for start in range(1 if path.is_absolute() else 0, len(path.parts)):
        if (near := folder.joinpath(*path.parts[start:])).is_file():
            return near
    raise UserError(f"{folder}: a list names {path}, which is not there")


def split(mixtures):
    """Mixtures for training and for validation: every tenth of ten and more."""
    kept = [mixture for i, mixture in enumerate(mixtures) if i % HOLD_OUT != HOLD_OUT - 1]
    return kept, [mixture for i, mixture in enumerate(mixtures) if i % HOLD_OUT == HOLD_OUT - 1]


def write_tree(mixtures, folder, sample_rate):
    """Mixtures as `folder/mix`, `s1` ...: links, or files at ``sample_rate`` where they have another.

    What cannot be read is linked as it is: preprocess.py skips it and says why.

    Returns:
        int: how many mixtures were resampled.
    """
    resampled = 0
    for mixture in mixtures:
        paths = (mixture.mixture_path, *mixture.source_paths)
        names = ("mix", *(f"s{i + 1}" for i in range(len(mixture.source_paths))))
        try:
            same = all(probe(path).sample_rate == sample_rate for path in paths)
            signals = [] if same else [resample(*read_mono(path), sample_rate) for path in paths]
        except AudioError:
            signals = []
        resampled += bool(signals)
        for i, (name, path) in enumerate(zip(names, paths)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if signals:
                write_wav(folder / name / f"{mixture.id}.wav", signals[i], sample_rate)
            else:
                os.symlink(path.resolve(), folder / name / f"{mixture.id}{path.suffix.lower()}")
    return resampled

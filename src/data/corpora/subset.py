"""What every kind of corpus comes down to before records are written: items, and a recipe that turns one into signals.

A recipe is picklable and has

    options     dict of everything that decides what ``load`` gives, for JSON
    load(item)  -> Loaded; raises Skip for an item that is left out, UserError to give up
    accepts(skipped)  whether what an earlier run left out, {reason: names}, may stay so
    wav_names(id)     paths of the wavs of one item, where it makes wavs
"""

import os
from collections import namedtuple
from dataclasses import dataclass, field

# mixture int16 [T], sources int16 [C, T]; wavs: {path: bytes} and their line in the lists, or None
Loaded = namedtuple("Loaded", "id mixture sources wavs wav_facts", defaults=(None, None))


class Skip(Exception):
    """This mixture cannot be used. ``reason`` is the category it is counted under."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason


@dataclass
class Subset:
    """What there is to make of one subset."""

    name: str
    items: list  # of what ``recipe.load`` takes, picklable
    samples: list  # length of each, as far as headers tell; 0 where they do not
    stamps: list  # text for each that changes when its files do
    recipe: object
    corpus: str  # for the manifest: where it comes from, names of the mixture and the sources
    mixture: str
    targets: list
    place: str  # for messages: the folder or file it is described by
    skipped: dict = field(default_factory=dict)  # reason -> names: what is left out already
    faults: dict = field(default_factory=dict)  # reason -> files that cannot be used, looked at before any work
    files: int = 0  # how many were looked at
    wav_tree: object = None  # src.data.corpora.librimix_tree.WavTree of the wavs to write; None: none


def stamp(path):
    """Size and time of change of a file as text.

    Raises:
        OSError: not there.
    """
    found = os.stat(path)
    return f"{found.st_size} {found.st_mtime_ns}"

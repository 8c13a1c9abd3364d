"""Which recordings are meant by files, folders and patterns, and where their outputs go."""

import glob
import os
import re
from collections import namedtuple
from pathlib import Path

from src.audio.formats import is_audio
from src.core.errors import UserError

Source = namedtuple("Source", "path folder")  # folder: where below the output folder its outputs belong
OUTPUT_NAME = re.compile(r"(.+?)(_ch\d+)?_s\d+")  # of separate.py itself


def find_sources(words, out_dir):
    """Recordings named by files, folders (with all below them) and patterns.

    Args:
        words (list[str]): a pattern is a name with * ? or [ that is no file.
        out_dir: what lies there are outputs of an earlier run: left alone.
    Returns:
        tuple: (list[Source] in the order given, number of other files left alone).
    Raises:
        UserError: a folder without recordings, a pattern that nothing matches.
    """
    found, others = {}, 0
    for word in words:
        path = Path(word)
        if path.is_dir():
            sources, left = _in_folder(path, Path(out_dir).resolve())
        elif not path.exists() and glob.has_magic(word):
            names = [Path(name) for name in sorted(glob.glob(word, recursive=True))]
            sources = [Source(name, Path()) for name in names if name.is_file()]
            left = len(names) - len(sources)
            if not sources:
                raise UserError(f"{word}: no file matches")
        else:
            sources, left = [Source(path, Path())], 0
        found.update((source.path, source) for source in sources)
        others += left
    return list(found.values()), others


def _in_folder(root, out_dir):
    """Recordings below a folder by their suffix, and the number of other files."""
    sources, others = [], 0
    for folder, folders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(n for n in folders if not n.startswith(".") and (here / n).resolve() != out_dir)
        own = _own_outputs(names) if here.resolve() == out_dir else ()
        for name in sorted(names):
            if name.startswith(".") or name in own or not is_audio(name):
                others += 1
            else:
                sources.append(Source(here / name, here.relative_to(root)))
    if not sources:
        raise UserError(f"{root}: a folder without recordings" + (f" ({others} other files)" if others else ""))
    return sources, others


def _own_outputs(names):
    """Those names of a folder that are outputs for a recording beside them."""
    stems = {Path(name).stem for name in names}
    matches = {name: OUTPUT_NAME.fullmatch(Path(name).stem) for name in names}
    return {name for name, match in matches.items() if match and match[1] in stems}

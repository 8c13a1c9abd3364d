"""Finds recordings of one voice each, and who speaks in them.

The speaker of a recording is the name of a folder above it: the first one below the given folder, or the one so many
levels down as ``--speaker_level`` says. LibriSpeech's subsets (speaker/chapter/utterance) and voices/<speaker>/*.wav
are both of that kind. Of a mixture tree it is what the mixtures' names say: 103-1240-0000_1235-135887-0018 holds the
speakers 103 and 1235.
"""

import os
import re
from collections import defaultdict, namedtuple
from pathlib import Path

from src.audio.files import AudioError, measure
from src.audio.formats import NO_CORPUS, in_corpus, is_audio
from src.core.errors import UserError
from src.core.names import shown
from src.data.corpora.mixture_tree import MIXTURE_DIRS, pair

Recording = namedtuple("Recording", "path speaker id")

SUBSET_NAME = re.compile(r"(train|dev|val|valid|test)([-_.\d].*)?|tr|cv|tt")  # train-clean-100, dev, tt, ...


def subset_folders(root):
    """{subset name: folder}: the subfolders of ``root`` (or of LibriSpeech in it) if all are named like subsets, else
    ``root`` itself.

    Raises:
        UserError: no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    root = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if folders and all(SUBSET_NAME.fullmatch(path.name) for path in folders):
        return {path.name: path for path in folders}
    return {root.resolve().name: root}


def holds_mixtures(root, depth=4):
    """Whether ``root``, or a folder at most ``depth`` below it, has a folder s1 beside one of mixtures."""
    mixture_dirs = {name for names in MIXTURE_DIRS.values() for name in names}
    for level in range(depth + 1):
        for folder in Path(root).glob("/".join(["*"] * level + ["s1"])):
            if any((folder.parent / name).is_dir() for name in mixture_dirs):
                return True
    return False


def find_recordings(root, speaker_level=1):
    """Every wav and FLAC below ``root``, sorted by speaker and path.

    Args:
        speaker_level (int): how many folders down the speaker's folder is; 0: nobody's (noises), no speaker is named.
    Returns:
        tuple: (list[Recording], {reason: [name]} of what cannot be used).
    Raises:
        UserError: no such folder, or no recording in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    found, skipped = [], defaultdict(list)
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            inner = path.relative_to(root)
            if not in_corpus(path):
                if is_audio(path) and not name.startswith("."):
                    skipped[NO_CORPUS].append(str(inner))
            elif len(inner.parts) <= speaker_level:
                skipped["not in a speaker's folder"].append(str(inner))
            elif not shown(str(inner)).isprintable():
                skipped["name is not printable"].append(ascii(str(inner)))
            else:
                speaker = inner.parts[speaker_level - 1] if speaker_level else ""
                found.append(Recording(path, shown(speaker), shown(str(inner.with_suffix("")))))
    if not found:
        lost = "; ".join(f"{len(names)} {reason}, such as {names[0]}" for reason, names in skipped.items())
        raise UserError(f"{root}: no wav or FLAC " + (f"in folders {speaker_level} deep, one for each speaker"
                                                      if speaker_level else "in it") + (f" ({lost})" if lost else ""))
    return sorted(found, key=lambda r: (r.speaker, r.id)), dict(skipped)


def recordings_of_mixtures(tree):
    """The sources of a mixture tree as recordings, each utterance once: its longest cut.

    Args:
        tree (src.data.corpora.mixture_tree.Tree): one subset.
    Returns:
        tuple: (list[Recording] sorted by speaker and id, {reason: [name]}).
    Raises:
        UserError: the names do not say who speaks.
    """
    mixtures, skipped = pair(tree)
    longest, skipped = {}, defaultdict(list, skipped)
    for mixture in mixtures:
        parts = mixture.id.split("_")
        if len(parts) != len(mixture.source_paths) or not all(part.split("-")[0] for part in parts):
            raise UserError(f"{tree.mixture_dir.parent}: the name {mixture.id} does not say who speaks; names like "
                            "SPEAKER-UTTERANCE_SPEAKER-UTTERANCE do. Give the recordings themselves as --in_dir, in a "
                            "folder for each speaker")
        for part, path in zip(parts, mixture.source_paths):
            try:
                frames = measure(path).frames
            except AudioError as error:
                skipped[error.reason].append(f"{path.parent.name}/{path.name}")
                continue
            if frames > longest.get(part, (0,))[0]:
                longest[part] = frames, Recording(path, part.split("-")[0], part)
    return sorted((r for _, r in longest.values()), key=lambda r: (r.speaker, r.id)), dict(skipped)

"""Finds the mixtures of a corpus on disk and pairs them with their sources, by file name."""

import struct
from collections import defaultdict, namedtuple
from pathlib import Path

import numpy as np

from src.audio import AUDIO_SUFFIXES, probe, read_mono, to_pcm16
from src.errors import UserError

Tree = namedtuple("Tree", "mixture_dir source_dirs")
Mixture = namedtuple("Mixture", "id mixture_path source_paths")

# task -> mixture folders to look for, in this order; "mix" is the name in tr/cv/tt trees
MIXTURE_DIRS = {"sep_clean": ("mix_clean", "mix"), "sep_noisy": ("mix_both", "mix"), "enh_single": ("mix_single",),
                "enh_both": ("mix_both",)}
# enhancement has one target
ENHANCEMENT_TARGET = {"enh_single": "s1", "enh_both": "mix_clean"}


class Skip(Exception):
    """This mixture cannot be used. ``reason`` is the category it is counted under."""

    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason


def find_subsets(in_dir, sample_rate, mode, task, num_spks=0):
    """Every subset below ``in_dir`` that has the task's folders: {name: Tree}.

    ``in_dir`` may be the parent of Libri2Mix/Libri3Mix, one of those, its wav8k/min and so on, any folder whose
    subfolders are subsets, or one subset.

    Raises:
        UserError: no such folder; nothing of this task in it; both Libri2Mix and Libri3Mix and no ``num_spks``.
    """
    root = Path(in_dir)
    if not root.is_dir():
        raise UserError(f"--in_dir {root}: no such folder")
    corpora = [name for name in ("Libri2Mix", "Libri3Mix") if (root / name).is_dir()]
    if num_spks:
        corpora = [name for name in corpora if name == f"Libri{num_spks}Mix"] or corpora
    if len(corpora) > 1:
        raise UserError(f"--in_dir {root}: holds {' and '.join(corpora)}; give one of them, or --num_spks")
    root = root / corpora[0] if corpora else root
    rate_dir = f"wav{sample_rate // 1000}k"
    for branch in (f"{rate_dir}/{mode}", mode):
        if (root / branch).is_dir():
            root = root / branch
            break
    else:
        rates = sorted(p.name for p in root.glob("wav*k") if p.is_dir())
        if rates:
            raise UserError(f"--in_dir {root}: has {', '.join(rates)} but no {rate_dir}/{mode}; "
                            "set --sample_rate or --mode")
    tree = subset_tree(root, task, num_spks)
    if tree:
        return {root.name: tree}
    found = {folder.name: subset_tree(folder, task, num_spks) for folder in sorted(root.iterdir()) if folder.is_dir()}
    found = {name: tree for name, tree in found.items() if tree}
    if not found:
        wanted = " or ".join(MIXTURE_DIRS[task])
        raise UserError(f"--in_dir {root}: no subset with {wanted} and s1 ... for task {task}")
    return found


def subset_tree(folder, task="sep_clean", num_spks=0):
    """The task's folders of one subset, or None.

    Raises:
        UserError: fewer source folders than ``num_spks``.
    """
    names = MIXTURE_DIRS[task]
    mixtures = next((folder / name for name in names if (folder / name).is_dir()), None)
    if mixtures is None:
        return None
    if task in ENHANCEMENT_TARGET:
        sources = [folder / ENHANCEMENT_TARGET[task]]
        sources = sources if sources[0].is_dir() else []
    else:
        sources = []
        while (folder / f"s{len(sources) + 1}").is_dir():
            sources.append(folder / f"s{len(sources) + 1}")
        if num_spks > len(sources):
            raise UserError(f"{folder}: --num_spks {num_spks}, but only {len(sources)} source folders (s1 ...)")
        sources = sources[:num_spks] if num_spks else sources
    return Tree(mixtures, tuple(sources)) if sources else None


def pair(tree):
    """Mixtures with their sources by file stem, sorted by id, and what found no mate.

    Returns:
        tuple: (list[Mixture], {reason: [file]}).
    """
    skipped = defaultdict(list)
    folders = (tree.mixture_dir, *tree.source_dirs)
    files = [_by_stem(folder, skipped) for folder in folders]
    mixtures = []
    for stem in sorted(set().union(*files)):
        missing = [folder.name for folder, names in zip(folders, files) if stem not in names]
        if missing:
            skipped["missing mate"].append(f"{stem} (not in {', '.join(missing)})")
        else:
            mixtures.append(Mixture(stem, files[0][stem], tuple(names[stem] for names in files[1:])))
    return mixtures, dict(skipped)


def _by_stem(folder, skipped):
    """{stem: path} of a folder's audio files; of two with one stem the first is taken and the other reported."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                skipped["double name"].append(f"{folder.name}/{path.name} (beside {found[path.stem].name})")
            else:
                found[path.stem] = path
    return found


def load(mixture, sample_rate, min_samples=0):
    """The PCM of one mixture: (int16 [T], int16 [C, T]).

    Raises:
        Skip: other rate, several channels, other length, empty, unreadable, NaN or infinite, too short.
    """
    signals = []
    for path in (mixture.mixture_path, *mixture.source_paths):
        label = f"{path.parent.name}/{path.name}"
        try:
            info = probe(path)
            if info.sample_rate != sample_rate:
                raise Skip("other rate", f"{label} ({info.sample_rate} Hz)")
            if info.channels != 1:
                raise Skip("several channels", f"{label} ({info.channels})")
            if info.frames == 0:
                raise Skip("empty", label)
            if cut_short(path):
                raise Skip("unreadable", f"{label} (truncated)")
            samples, _ = read_mono(path)
        except UserError as error:
            reason = "NaN or infinite" if "NaN" in str(error) else "unreadable"
            raise Skip(reason, f"{label} ({str(error).split(': ', 1)[-1]})") from None
        signals.append(to_pcm16(samples))
    lengths = [len(s) for s in signals]
    if len(set(lengths)) > 1:
        raise Skip("other length", f"{mixture.id} ({' '.join(map(str, lengths))} samples)")
    if lengths[0] < min_samples:
        raise Skip("too short", f"{mixture.id} ({lengths[0]} samples)")
    return signals[0], np.stack(signals[1:])


def cut_short(path):
    """Whether a wav file ends before its header says; libsndfile reads what is there without a word."""
    with open(path, "rb") as file:
        head = file.read(8)
        if head[:4] != b"RIFF":
            return False
        promised = struct.unpack("<I", head[4:])[0]
        size = file.seek(0, 2)
    # 0 and the maximum are what writers to a pipe leave there
    return promised not in (0, 0xFFFFFFFF, 0x7FFFFFFF) and size < promised + 8

"""Finds the mixtures of a corpus on disk and pairs them with their sources, by file name.

What cannot be used is named under one of these reasons: missing mate, duplicate stem, name is not UTF-8, neither wav
nor FLAC (from :func:`pair`); other rate, several channels, empty, unreadable, NaN or infinite, beyond full scale, other
length, too short (from :func:`load`).
"""

import re
from collections import defaultdict, namedtuple
from pathlib import Path

import numpy as np

from src.audio.files import AudioError, measure, read_pcm16
from src.audio.formats import NO_CORPUS, in_corpus, is_audio
from src.core.errors import UserError
from src.core.names import shown
from src.core.options import comma_list
from src.data.corpora.librimix_rules import MAX_SPEAKERS
from src.data.corpora.librimix_tree import branch_name, corpus_name
from src.data.corpora.subset import Loaded, Skip, Subset, stamp

Tree = namedtuple("Tree", "mixture_dir source_dirs task")
Mixture = namedtuple("Mixture", "id mixture_path source_paths")

# task -> mixture folders to look for, in this order; "mix" is the name in tr/cv/tt trees. Task speech takes the sources
# of any mixtures
MIXTURE_DIRS = {"sep_clean": ("mix_clean", "mix"), "sep_noisy": ("mix_both", "mix"), "enh_single": ("mix_single",),
                "enh_both": ("mix_both",), "speech": ("mix_clean", "mix", "mix_both", "mix_single")}
# what a corpus is taken for where nobody says: the first of these it has the folders of
TASKS = ("sep_clean", "sep_noisy", "enh_single")
# enhancement has one target
ENHANCEMENT_TARGET = {"enh_single": "s1", "enh_both": "mix_clean"}
CORPORA = [corpus_name(speakers) for speakers in range(1, MAX_SPEAKERS + 1)]
PATH_PARTS = 4  # of a subset's path, kept in its manifest: Libri2Mix/wav8k/min/dev


def find_subsets(config):
    """The subsets of a corpus: {name: :class:`Tree`}, in the order asked for, else sorted by name.

    ``in_dir`` may be the parent of Libri1Mix ... Libri8Mix, one of those, its wav8k, its wav8k/min, any folder whose
    subfolders are subsets (train-100 dev test, train dev test, tr cv tt, ...), or one subset.

    Args:
        config: has ``in_dir sample_rate mode task num_spks subsets`` as in :class:`PreprocessConfig`.
    Raises:
        UserError: no such folder; no subset; one without the task's folders; not decidable which corpus or how many
            speakers are meant.
    """
    root = _descend(Path(config.in_dir), config)
    if _is_subset(root):
        folders = {root.resolve().name: root}
    else:
        folders = {path.name: path for path in _entries(root) if _is_subset(path)}
    if not folders:
        raise UserError(f"{root}: no subset folder with a mixture folder and s1 s2 ... in it")
    chosen = comma_list(config.subsets) or list(folders)
    for name in chosen:
        if name not in folders:
            raise UserError(f"--subsets {name}: not in the corpus, which has {', '.join(folders)} ({root})")
    trees = _trees({name: folders[name] for name in chosen}, config)
    counts = {name: len(tree.source_dirs) for name, tree in trees.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(f"{root}: subsets differ in their number of sources ({found}); choose with --subsets")
    return trees


def _trees(folders, config):
    """{subset: Tree} of {subset: folder}, of the task asked for or the first of TASKS that all of them have."""
    tasks = [config.task] if config.task else TASKS
    lacking = []
    for task in tasks:
        trees = {name: subset_tree(folder, task, config.num_spks) for name, folder in folders.items()}
        lacking += [folders[name] for name, tree in trees.items() if tree is None][:1]
        if None not in trees.values():
            return trees
    wanted = " or ".join(dict.fromkeys(name for task in tasks for name in MIXTURE_DIRS[task]))
    raise UserError(f"{lacking[0]}: lacks {wanted}, or {ENHANCEMENT_TARGET.get(tasks[0], 's1')}, which task "
                    f"{' or '.join(tasks)} needs; choose another --task, or other --subsets")


def _descend(root, config):
    """The folder that holds the subsets, below (or at) ``root``."""
    if not root.is_dir():
        raise UserError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    corpora = [name for name in CORPORA if (root / name).is_dir()]
    if config.num_spks:
        corpora = [name for name in corpora if name == corpus_name(config.num_spks)] or corpora
    if len(corpora) > 1:
        raise UserError(f"{root}: holds {' and '.join(corpora)}; give one of them, or --num_spks")
    root = root / corpora[0] if corpora else root
    branch = branch_name(config.sample_rate, config.mode)
    for name in (branch, f"wav{config.sample_rate // 1000}k/{config.mode}", config.mode):
        if (root / name).is_dir():
            return root / name
    branches = [p for p in _entries(root) if re.fullmatch(r"wav[\d.]+k|min|max", p.name) and p.is_dir()]
    if branches:
        raise UserError(f"{root}: has {', '.join(p.name for p in branches)}, but no {branch}; "
                        "set --sample_rate or --mode")
    return root


def _is_subset(folder):
    names = {name for group in MIXTURE_DIRS.values() for name in group}
    return any((folder / name).is_dir() for name in sorted(names) + ["s1"])


def _entries(folder):
    """What a folder holds, sorted, hidden names left out."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror or error}") from None


def subset_tree(folder, task="sep_clean", num_spks=0):
    """The task's folders of one subset, or None.

    Raises:
        UserError: the source folders are not s1 ... sC without a gap, or not ``num_spks`` of them (0: any number).
    """
    folder = Path(folder)
    mixtures = next((folder / name for name in MIXTURE_DIRS[task] if (folder / name).is_dir()), None)
    if task in ENHANCEMENT_TARGET:
        if num_spks > 1:
            raise UserError(f"{folder}: task {task} has one target, but --num_spks is {num_spks}")
        sources = [folder / ENHANCEMENT_TARGET[task]]
    else:
        numbers = sorted(int(p.name[1:]) for p in _entries(folder) if re.fullmatch(r"s[1-9]\d*", p.name) and p.is_dir())
        if numbers != list(range(1, len(numbers) + 1)):
            raise UserError(f"{folder}: source folders are {' '.join(f's{n}' for n in numbers)}, expected s1 s2 ... "
                            "without a gap")
        # fewer targets than there are voices in the mixture would teach a wrong model
        if numbers and num_spks and num_spks != len(numbers):
            raise UserError(f"{folder}: has {len(numbers)} source folders, but --num_spks is {num_spks}")
        sources = [folder / f"s{n}" for n in numbers]
    if mixtures is None or not sources or not sources[0].is_dir():
        return None
    return Tree(mixtures, tuple(sources), task)


def pair(tree):
    """Mixtures with their sources by file stem, sorted by id, and what could not be paired.

    Returns:
        tuple: (list[Mixture], {reason: [name]}).
    """
    skipped = defaultdict(list)
    folders = (tree.mixture_dir, *tree.source_dirs)
    entries = [_entries(folder) for folder in folders]
    files = [_by_stem(paths) for paths in entries]
    others = [f"{path.parent.name}/{path.name}" for paths in entries for path in paths
              if is_audio(path) and not in_corpus(path)]
    if others:
        skipped[NO_CORPUS] = others
    mixtures = []
    for stem in sorted(set().union(*files)):
        missing = [folder.name for folder, names in zip(folders, files) if stem not in names]
        twice = [f"{folder.name}/{path.name}" for folder, names in zip(folders, files)
                 for path in names.get(stem, ()) if len(names[stem]) > 1]
        if twice:
            skipped["duplicate stem"].append(f"{stem} ({' '.join(twice)})")
        elif missing:
            skipped["missing mate"].append(f"{stem} (not in {', '.join(missing)})")
        else:
            mixtures.append(Mixture(shown(stem), files[0][stem][0], tuple(names[stem][0] for names in files[1:])))
    return mixtures, dict(skipped)


def _by_stem(paths):
    """{stem: [path, ...]} of those paths that are audio files."""
    found = defaultdict(list)
    for path in paths:
        if in_corpus(path):
            found[path.stem].append(path)
    return dict(found)


def load(mixture, sample_rate, min_samples=0):
    """The PCM of one mixture: (int16 [T], int16 [C, T]), every file decoded to its end.

    Raises:
        Skip: a file that cannot be used, lengths that differ, or shorter than ``min_samples``.
    """
    signals = []
    for path in (mixture.mixture_path, *mixture.source_paths):
        try:
            signals.append(read_pcm16(path, sample_rate))
        except AudioError as error:
            detail = str(error).split(": ", 1)[-1]
            raise Skip(error.reason, f"{path.parent.name}/{path.name} ({detail})") from None
    lengths = [len(signal) for signal in signals]
    if len(set(lengths)) > 1:
        raise Skip("other length", f"{mixture.id} ({' '.join(map(str, lengths))} samples)")
    if lengths[0] < min_samples:
        raise Skip("too short", f"{mixture.id} ({lengths[0]} samples)")
    return signals[0], np.stack(signals[1:])


def describe(name, tree, mixtures, skipped, config):
    """The :class:`src.data.corpora.subset.Subset` of what :func:`pair` found."""
    samples, stamps = [], []
    for mixture in mixtures:
        paths = (mixture.mixture_path, *mixture.source_paths)
        try:
            samples.append(measure(mixture.mixture_path).frames)
        except AudioError:
            samples.append(0)  # load() will say what is wrong with it
        stamps.append([stamp(path) for path in paths])
    names = [path.name for path in tree.source_dirs]
    place = tree.mixture_dir.parent
    corpus = "/".join(place.resolve().parts[-PATH_PARTS:])
    print(f"{name}: {len(mixtures)} mixtures with {len(names)} sources in {place}, task {tree.task}", flush=True)
    recipe = TreeRecipe(config, tree.task, names)
    return Subset(name, mixtures, samples, stamps, recipe, corpus, tree.mixture_dir.name, names, str(place), skipped)


class TreeRecipe:
    """Loads a :class:`Mixture`; see :mod:`src.data.corpora.subset`."""

    def __init__(self, config, task, targets):
        self.sample_rate = config.sample_rate
        self.min_samples = round(config.min_seconds * config.sample_rate)
        self.options = {"task": task, "sample_rate": self.sample_rate, "min_samples": self.min_samples,
                        "targets": targets}

    def load(self, mixture):
        """Raises Skip as :func:`load`."""
        return Loaded(mixture.id, *load(mixture, self.sample_rate, self.min_samples))

    def accepts(self, skipped):
        """What a tree lacks is left out and named."""
        return True

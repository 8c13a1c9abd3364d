"""LibriMix from where it comes from: metadata CSVs, LibriSpeech as downloaded, and WHAM's noises where they matter.

What cannot be used is named under one of these reasons: missing file, unreadable, empty, other rate, several channels,
noise too short, NaN or infinite; with --skip_bad its mixtures are left out, else it is an error.
"""

import dataclasses
import os
from collections import defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.audio.files import AudioError, measure, to_pcm16_as_written
from src.core.errors import UserError
from src.core.options import comma_list
from src.core.progress import Progress
from src.data.corpora.librimix_columns import length_at
from src.data.corpora.librimix_rules import (
    FADE,
    MIXTURES,
    RATE,
    mix,
    noise_frames,
    rate_of,
    read_metadata,
    read_row,
    render,
    unperturbed,
)
from src.data.corpora.librimix_tree import WavTree, is_info, subset_name
from src.data.corpora.mixture_tree import ENHANCEMENT_TARGET, MIXTURE_DIRS
from src.data.corpora.subset import Loaded, Skip, Subset, stamp

SHOWN = 5  # files named in an error
LOOKERS = 8  # threads that look at files: a network disk answers slowly, but many at once
ASKED_FOR = ("too short", "too long")  # reasons that leave a mixture out without --skip_bad

# frames: at rate (Hz), 0 for one that is bad; problem: (reason, text) or None
Seen = namedtuple("Seen", "frames stamp problem rate", defaults=(RATE,))


def metadata_subsets(config):
    """The :class:`src.data.corpora.subset.Subset` of every CSV in ``config.metadata``, in their order.

    Every file is looked at (its header, and its contents only where that does not tell the length), so that what is
    missing is known before any work.

    Args:
        config: has the options of :class:`src.data.records.config.PreprocessConfig`.
    Raises:
        UserError: no or bad metadata, no such folder. Files that are missing or of the wrong kind are for
            :func:`complain`.
    """
    tables = {name: (path, read_metadata(path)) for name, path in _choose(config).items()}
    counts = {path.name: len(rows[0].source_paths) for path, rows in tables.values()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(f"--metadata: the files differ in their number of sources ({found}); give those of one corpus")
    speakers = next(iter(counts.values()))
    config = dataclasses.replace(config, task=config.task or _task(config, tables.values()))
    if config.num_spks not in (0, 1 if config.task in ENHANCEMENT_TARGET else speakers):
        raise UserError(f"--metadata: its mixtures have {speakers} sources, but --num_spks is {config.num_spks}")
    kinds = wav_kinds(config)
    noisy = any(kind != "mix_clean" for kind in (MIXTURE_DIRS[config.task][0], *kinds))
    speech = _root(config.librispeech_dir, "LibriSpeech", [row.source_paths[0] for _, rows in tables.values()
                                                            for row in rows])
    noises = None
    if noisy:
        for path, rows in tables.values():
            if rows[0].noise_path is None:
                raise UserError(f"{path}: has no noise_path and noise_gain columns; only mix_clean can be made of it")
        noises = _root(config.wham_dir, "wham_noise", [row.noise_path for _, rows in tables.values() for row in rows])
    subsets = []
    for name, (path, rows) in tables.items():
        wav_tree = WavTree(config.write_wav, name, speakers, config.sample_rate, config.mode,
                           kinds) if config.write_wav else None
        if not config.rir_dir and any(row.extra and any(row.extra.rirs) for row in rows):
            raise UserError(f"--rir_dir is missing: {path} names room impulse responses")
        recipe = MetadataRecipe(config, speech, noises, speakers, wav_tree)
        subsets.append(_describe(name, path, rows, recipe, config))
    return subsets


def _task(config, tables):
    """What metadata is for where nobody says: one voice and a noise are for enhancement, else sep_clean."""
    rows = [row for _, rows in tables for row in rows[:1]]
    alone = all(len(row.source_paths) == 1 and row.noise_path for row in rows)
    return "enh_single" if alone and config.wham_dir else "sep_clean"


def wav_kinds(config):
    """The mixtures of ``--write_wav``: those asked for, else mix_clean, and all three if there is noise."""
    if not config.write_wav:
        return []
    kinds = comma_list(config.wav_types)
    for kind in kinds:
        if kind not in MIXTURES:
            raise UserError(f"--wav_types {kind}: must be of {', '.join(MIXTURES)}")
    return list(dict.fromkeys(kinds)) or list(MIXTURES if config.wham_dir else MIXTURES[:1])


def _choose(config):
    """{subset name: path} of the metadata files that are wanted."""
    paths = []
    for path in map(Path, comma_list(config.metadata)):
        if path.is_dir():
            inner = sorted(p for p in path.glob("*.csv") if not is_info(p))
            if not inner:
                raise UserError(f"--metadata {path}: a folder without CSV files")
            paths += inner
        else:
            paths.append(path)
    named = defaultdict(list)
    for path in paths:
        named[subset_name(path)].append(path)
    for name, group in named.items():
        if len(group) > 1:
            raise UserError(f"--metadata: {' and '.join(map(str, group))} would both be written to {name}")
    chosen = comma_list(config.subsets) or list(named)
    for name in chosen:
        if name not in named:
            raise UserError(f"--subsets {name}: not in the metadata, which has {', '.join(named)}")
    if not chosen:
        raise UserError("--metadata is missing: give CSV files, or a folder of them")
    return {name: named[name][0] for name in chosen}


def _root(folder, inner, paths):
    """``folder``, or ``inner`` in it: whichever has the folders that the paths begin with."""
    option = {"LibriSpeech": "--librispeech_dir", "wham_noise": "--wham_dir"}[inner]
    if not folder:
        raise UserError(f"{option} is missing: the mixtures asked for need {inner}")
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{option} {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    parts = {Path(path).parts[0] for path in paths}
    return max((folder, folder / inner), key=lambda root: sum((root / part).exists() for part in parts))


def _describe(name, path, rows, recipe, config):
    """The subset of one CSV; rows whose files cannot be used are in its ``skipped``, those files in its ``faults``."""
    speech, noises = recipe.speech, recipe.noises
    files = {}  # path -> what is expected of it
    for row in rows:
        files |= {os.path.join(speech, source): "any" if row.extra else "speech" for source in row.source_paths}
        files |= {os.path.join(recipe.rirs, rir): "any" for rir in (row.extra.rirs if row.extra else ()) if rir}
        if noises:
            files[os.path.join(noises, row.noise_path)] = "any" if row.extra else "noise"
    print(f"{name}: {len(rows)} mixtures of {recipe.speakers} speakers in {path}, {len(files)} files to look at",
          flush=True)
    seen = _look_at_all(files, name)
    faults = defaultdict(list)
    for one in seen.values():
        if one.problem:
            faults[one.problem[0]].append(one.problem[1])
    items, samples, stamps, skipped = [], [], [], defaultdict(list)
    for row in rows:
        sources = [seen[os.path.join(speech, source)] for source in row.source_paths]
        noise = [seen[os.path.join(noises, row.noise_path)]] if noises else []
        others = [seen[os.path.join(recipe.rirs, rir)] for rir in (row.extra.rirs if row.extra else ()) if rir]
        problem = next((one.problem for one in sources + noise + others if one.problem), None)
        lengths, available = _lengths(row, sources, noise)
        longest = max(lengths)
        if not problem and noise and available < longest and available <= FADE:
            problem = ("noise too short", f"{os.path.join(noises, row.noise_path)}: {available} samples, cannot "
                                          f"be extended to {longest}")
            faults[problem[0]].append(problem[1])
        if problem:
            skipped[problem[0]].append(f"{row.id} ({problem[1]})")
            continue
        frames = (min if config.mode == "min" else max)(lengths)
        items.append(row)
        samples.append(-(-frames * config.sample_rate // rate_of(row)))
        stamps.append([one.stamp for one in sources + noise + others])
    return Subset(name, items, samples, stamps, recipe, path.name, MIXTURE_DIRS[config.task][0], recipe.targets,
                  str(path), dict(skipped), dict(faults), len(files), recipe.wav_tree)


def _lengths(row, sources, noise):
    """Samples of each source, and of the noise, at the rate of the row, from what was :class:`Seen` of their files."""
    if not row.extra:
        return [one.frames for one in sources], noise[0].frames if noise else 0
    rate, extra = row.extra.rate, row.extra
    lengths = [length_at(one.frames, start, used, one.rate, rate)
               for one, start, used in zip(sources, extra.starts, extra.frames)]
    return lengths, length_at(noise[0].frames, extra.noise_start, 0, noise[0].rate, rate) if noise else 0


def _look_at_all(files, name):
    """{path: Seen} of {path: "speech" (16 kHz, one channel), "noise" (16 kHz) or "any"}."""
    seen, paths = {}, list(files)
    with ThreadPoolExecutor(LOOKERS) as pool, Progress(len(files), f"{name}, looking", "files") as progress:
        for start in range(0, len(paths), 1000):  # a pool is given everything at once
            part = paths[start : start + 1000]
            for path, found in zip(part, pool.map(_look, part, [files[path] for path in part])):
                seen[path] = found
                progress.add(1)
    return seen


def _look(path, kind):
    """What the header of a file says of it, and its samples where that does not tell their number, as :class:`Seen`."""
    path = Path(path)
    original, _ = unperturbed(path) if kind == "noise" else (None, None)
    here = original if original and not path.exists() and original.exists() else path
    try:
        mark = stamp(here)
        info = measure(here)
    except OSError:
        return Seen(0, "", ("missing file", str(path)))
    except AudioError as error:
        return Seen(0, "", (error.reason, str(error)))
    if info.sample_rate != RATE and kind != "any":
        return Seen(0, "", ("other rate", f"{here}: {info.sample_rate} Hz, expected {RATE} Hz"))
    if info.channels != 1 and kind == "speech":
        return Seen(0, "", ("several channels", f"{here}: {info.channels} channels, expected 1"))
    if info.frames == 0:
        return Seen(0, "", ("empty", f"{here}: holds no samples"))
    return Seen(info.frames if here == path else noise_frames(path), mark, None, info.sample_rate)


def complain(subsets):
    """Raise the :class:`UserError` that says which files of the subsets cannot be used, if any."""
    total = sum(subset.files for subset in subsets)
    faults = defaultdict(list)
    for subset in subsets:
        for reason, texts in subset.faults.items():
            faults[reason] += texts
    missing = faults.pop("missing file", [])
    if missing:
        raise UserError(f"{len(missing)} of {total} files are missing: {_some(missing)}; unpack the parts of "
                        "LibriSpeech (and WHAM's noises) that the metadata names, or --skip_bad leaves their mixtures "
                        "out")
    if faults:
        texts = [text for group in faults.values() for text in group]
        raise UserError(f"{len(texts)} of {total} files cannot be used: {_some(texts)}; replace them, or --skip_bad "
                        "leaves their mixtures out")


def _some(texts):
    return "; ".join(texts[:SHOWN]) + (f"; ... and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")


class MetadataRecipe:
    """Renders a :class:`src.data.corpora.librimix_rules.Row`; see :mod:`src.data.corpora.subset`.

    Args:
        speech, noises: folders that the rows' paths are below; noises None: no noise is needed.
        wav_tree: for ``wavs`` of :class:`src.data.corpora.subset.Loaded`; None: none are made.
    """

    def __init__(self, config, speech, noises, speakers, wav_tree):
        self.speech, self.noises, self.rirs = str(speech), noises and str(noises), config.rir_dir
        self.sample_rate, self.mode, self.kind = config.sample_rate, config.mode, MIXTURE_DIRS[config.task][0]
        self.min_samples = round(config.min_seconds * config.sample_rate)
        self.skip_bad, self.wav_tree, self.speakers = config.skip_bad, wav_tree, speakers
        target = ENHANCEMENT_TARGET.get(config.task)
        self.targets = [target] if target else [f"s{n + 1}" for n in range(speakers)]
        self.options = {"mode": self.mode, "sample_rate": self.sample_rate, "task": config.task,
                        "min_samples": self.min_samples, "wavs": wav_tree and wav_tree.folders}

    def load(self, row):
        """Raises Skip for a mixture too short, and, with ``skip_bad``, for a file that cannot be read; else
        UserError."""
        try:
            sources, noise = read_row(row, self.speech, self.noises, self.rirs)
            rendered = render(sources, row.source_gains, noise, row.noise_gain, self.sample_rate, self.mode,
                              rate_of(row))
        except AudioError as error:
            if self.skip_bad:
                raise Skip(error.reason, f"{row.id} ({error})") from None
            raise UserError(f"{row.id}: {error}; replace the file, or --skip_bad leaves the mixture out") from None
        length = rendered.sources.shape[-1]
        if length < self.min_samples:
            raise Skip("too short", f"{row.id} ({length} samples)")
        mixture = to_pcm16_as_written(mix(rendered, self.kind))
        targets = rendered.sources[: len(self.targets)]
        if self.targets == ["mix_clean"]:
            targets = mix(rendered, "mix_clean")[None]
        sources = to_pcm16_as_written(targets)
        if not self.wav_tree:
            return Loaded(row.id, mixture, sources)
        return Loaded(row.id, mixture, sources, self.wav_tree.files(row.id, rendered),
                      self.wav_tree.facts(row.id, rendered))

    def accepts(self, skipped):
        """A file that could not be read may be left out only with ``skip_bad``."""
        return self.skip_bad or set(skipped) <= set(ASKED_FOR)

    def wav_names(self, identifier):
        """Paths of a mixture's wavs in its subset."""
        return self.wav_tree.names(identifier)

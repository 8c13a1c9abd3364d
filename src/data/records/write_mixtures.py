"""A corpus to record folders: refuse first, write shards in parallel, put the manifest last."""

import re
import shutil
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from src.core.errors import UserError, disk_errors
from src.core.names import shown
from src.core.worker_pool import worker_pool
from src.data.corpora.librimix import complain, metadata_subsets
from src.data.corpora.mixture_tree import describe, find_subsets, pair
from src.data.records.manifest import Manifest
from src.data.records.shards import shard_entry, write_all, write_job
from src.data.records.subset_output import Target

SHOWN = 5  # names printed for each reason; the manifest has all


def preprocess(config):
    """Do preprocess.py's job; see :class:`src.data.records.config.PreprocessConfig`.

    Returns:
        dict: {subset: Manifest} of the record folders that were written.
    Raises:
        UserError: nothing usable, an output that must not be replaced, files missing, a disk that refuses.
    """
    with disk_errors(config.out_dir):
        return _preprocess(config)


def _preprocess(config):
    _check_options(config)
    targets = [Target(subset, records, config) for subset, records in _find(config)]
    if config.dry_run:
        for target in targets:
            foresee(target, config)
    if not config.skip_bad:
        complain([target.subset for target in targets])
    if config.dry_run:
        return {}
    for target in targets:
        if not target.subset.items:
            report(target.subset.name, [], target.subset.skipped, config)
            raise UserError(f"{target.subset.name}: not one mixture with its sources in {target.subset.place}; nothing "
                            "written")
    manifests = {}
    with ExitStack() as stack:
        targets = _begin(targets, config, stack)
        if targets:
            most = max(len(target.jobs) for target in targets)
            run = stack.enter_context(worker_pool(write_job, min(config.num_workers, most)))
        built = []
        for target in targets:
            built.append((target, *build(target, run, config)))
            manifests[target.subset.name] = built[-1][-1]
            if not config.strict:
                target.finish(*built.pop()[1:])
        if config.strict:
            count = sum(len(names) for *_, manifest in built for names in manifest.skipped.values())
            if count:
                for target in targets:
                    target.discard = True
                raise UserError(f"{count} skipped and --strict is set; nothing written")
            for target, written, manifest in built:
                target.finish(written, manifest)
    return manifests


def _check_options(config):
    if config.in_dir and (config.metadata or config.librispeech_dir):
        raise UserError("--in_dir is a corpus of mixtures, --librispeech_dir and --metadata make mixtures: give one of "
                        "them")
    if config.write_wav and not config.metadata:
        raise UserError("--write_wav writes what --metadata makes; the mixtures of --in_dir are files already")
    if not config.out_dir and not config.write_wav:
        raise UserError("--out_dir is empty: give a folder for the records, or --write_wav for wavs alone")
    if config.strict and config.skip_bad:
        raise UserError("--strict and --skip_bad say opposite things: give one of them")


def _find(config):
    """(Subset, path of its record folder or None) of all that is to be made; every refusal that needs no file to be
    opened comes before they are."""
    if not config.metadata:
        trees = find_subsets(config)
        names = output_names(trees, config)
        for name in names.values():
            Target.check_foreign(Path(config.out_dir) / name)
        return [(describe(name, tree, *pair(tree), config), Path(config.out_dir) / names[name])
                for name, tree in trees.items()]
    subsets = metadata_subsets(config)
    names = output_names([subset.name for subset in subsets], config)
    return [(subset, Path(config.out_dir) / names[subset.name] if config.out_dir else None) for subset in subsets]


def output_names(names, config):
    """{subset: folder name}, with --train_name and --test_name applied."""
    new_names = {name: shown(name) for name in names}  # MindSpore needs UTF-8
    for flag, new, fits in (("train_name", config.train_name, lambda n: n.startswith("train") or n == "tr"),
                            ("test_name", config.test_name, lambda n: n in ("test", "tt"))):
        if new:
            if not re.fullmatch(r"[\w+-][\w.+-]*", new):
                raise UserError(f"--{flag} {new}: must be a plain folder name of letters, digits and _ - + .")
            matches = [name for name in names if fits(name)]
            if len(matches) != 1:
                raise UserError(f"--{flag} needs exactly one such subset, found {', '.join(matches) or 'none'}; "
                                "choose with --subsets")
            new_names[matches[0]] = new
    if len(set(new_names.values())) < len(new_names):
        raise UserError("two subsets would be written to one folder: "
                        + ", ".join(f"{old} to {new}" for old, new in new_names.items()))
    return new_names


def foresee(target, config):
    """Print what a subset would come to."""
    subset = target.subset
    hours = sum(subset.samples) / config.sample_rate / 3600
    sizes = "".join(f", {size / 1e9:.3g} GB in {folder}" for folder, size in target.bytes_wanted().items())
    print(f"{subset.name}: {len(subset.items)} mixtures, {hours:.2f} h at {config.sample_rate} Hz{sizes}", flush=True)
    for reason, texts in sorted(subset.faults.items()):
        print(f"{subset.name}: {len(texts)} of {subset.files} files, {reason}: {_some(texts)}", flush=True)
    left_out(subset.name, subset.skipped)


def _begin(targets, config, stack):
    """Refuse, lock and clear; returns the targets that are not finished yet."""
    finished = [target for target in targets if not config.overwrite and _says_finished(target)]
    for target in finished:
        target.forget()
    targets = [target for target in targets if target not in finished]
    for target in targets:
        target.check()
    check_space(targets)
    wanted = []
    for target in targets:
        stack.enter_context(target.held())
        # as it is now that nobody else can change it
        if not config.overwrite and _says_finished(target):
            target.discard = True
            continue
        target.check()
        noted = target.prepare()
        if noted:
            print(f"{target.subset.name}: {noted} of {len(target.jobs)} shards are there from an unfinished run",
                  flush=True)
        wanted.append(target)
    return wanted


def _says_finished(target):
    if target.is_finished():
        print(f"{target.subset.name}: already finished, {target.main} was made of these files with these options",
              flush=True)
        return True
    return False


def check_space(targets):
    """Refuse if the disks have less room than is needed.

    Raises:
        UserError: which folder, how much is needed and there.
    """
    needed, places = defaultdict(int), defaultdict(list)
    for target in targets:
        for folder, size in target.bytes_wanted(target.noted()).items():
            while not folder.exists():
                folder = folder.parent
            disk = folder.stat().st_dev
            needed[disk] += size
            places[disk].append(folder)
    for disk, size in needed.items():
        free = shutil.disk_usage(places[disk][0]).free
        if size > free:
            raise UserError(f"{places[disk][0]}: about {size / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free; "
                            "make room, choose another disk, or fewer --subsets")


def build(target, run, config):
    """Write a subset's shards; returns (list of Written, Manifest)."""
    subset = target.subset
    written = write_all(target.jobs, run, subset.name)
    lengths = [length for result in written for length in result.lengths]
    skipped = defaultdict(list, {reason: list(names) for reason, names in subset.skipped.items()})
    for result in written:
        for reason, names in result.skipped.items():
            skipped[reason] += names
    report(subset.name, lengths, skipped, config, sum(bool(result.lengths) for result in written))
    if not lengths:
        target.discard = True
        raise UserError(f"{subset.name}: not one usable mixture; nothing written")
    return written, Manifest(
        subset=subset.name, corpus=subset.corpus, mixture=subset.mixture, targets=subset.targets,
        task=subset.recipe.options["task"],
        num_spks=len(subset.targets), sample_rate=config.sample_rate, rows=len(lengths),
        hours=sum(lengths) / config.sample_rate / 3600, min_length=min(lengths), max_length=max(lengths),
        shards=[shard_entry(job, result) for job, result in zip(target.jobs, written)
                if result.lengths] if target.records else [],
        skipped={reason: names for reason, names in sorted(skipped.items())}, request=target.request)


def report(name, lengths, skipped, config, shards=0):
    """Print what became of a subset."""
    hours = sum(lengths) / config.sample_rate / 3600
    print(f"{name}: {len(lengths)} rows, {hours:.3f} h, {shards} shards", flush=True)
    left_out(name, skipped)


def left_out(name, skipped):
    """Print what is left out of a subset, and why."""
    for reason, names in sorted(skipped.items()):
        print(f"{name}: skipped {len(names)}, {reason}: {_some(names)}", flush=True)


def _some(names):
    return "; ".join(names[:SHOWN]) + (f", ... and {len(names) - SHOWN} more" if len(names) > SHOWN else "")

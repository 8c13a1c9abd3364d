"""A corpus on disk to record folders: refuse first, write shards in parallel, put the manifest last."""

import hashlib
import os
import re
import shutil
import sys
import time
from collections import defaultdict, namedtuple
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from src.audio import probe
from src.corpus import Skip, find_subsets, load, pair
from src.errors import UserError
from src.manifest import Manifest, write_manifest
from src.mindrecord import MAX_PAGE_BYTES, page_bytes, row, row_bytes, write_shard
from src.record_folder import check_target, clean_up, locked, partial_folder, swap_in
from src.workers import worker_pool

SHOWN = 5  # names printed for each reason; the manifest has all
MIN_SHARDS = 16  # so many workers have something to do in a corpus of this many ...
SMALL_SHARD_ROWS = 100  # ... times this many mixtures
PATH_PARTS = 4  # of a subset's path, kept in its manifest: Libri2Mix/wav8k/min/dev

Subset = namedtuple("Subset", "name tree target mixtures skipped")
# first: number of the first row in its subset; rate in Hz
Job = namedtuple("Job", "path mixtures first sample_rate min_samples")
Written = namedtuple("Written", "lengths skipped bytes db_bytes sha256")


def preprocess(config):
    """Do preprocess.py's job; see :class:`src.config.PreprocessConfig`. Returns {subset: Manifest}.

    Raises:
        UserError: nothing usable, an output that must not be replaced, a disk that refuses.
    """
    try:
        return _preprocess(config)
    except BrokenPipeError:  # of our own output
        raise
    except OSError as error:
        raise UserError(f"{error.filename or config.out_dir}: {error.strerror or error}") from None


def _preprocess(config):
    trees = find_subsets(config)
    targets = {name: Path(config.out_dir) / new for name, new in output_names(trees, config).items()}
    for target in targets.values():  # every refusal comes before any work
        check_target(target, config.overwrite)
    subsets = []
    for name, tree in trees.items():
        mixtures, skipped = pair(tree)
        print(f"{name}: {len(mixtures)} mixtures with {len(tree.source_dirs)} sources in {tree.mixture_dir.parent}",
              flush=True)
        if not mixtures:
            report(name, [], skipped, config)
            raise UserError(f"{name}: not one mixture with its sources in {tree.mixture_dir.parent}; nothing written")
        subsets.append(Subset(name, tree, targets[name], mixtures, skipped))
    Path(config.out_dir).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for subset in subsets:
            stack.enter_context(locked(subset.target))
            clean_up(subset.target)
            check_target(subset.target, config.overwrite)  # as it is now that nobody else can change it
            stack.callback(shutil.rmtree, partial_folder(subset.target), ignore_errors=True)
        jobs = {subset.name: plan(subset, partial_folder(subset.target), config) for subset in subsets}
        run = stack.enter_context(worker_pool(write_job, min(config.num_workers, max(map(len, jobs.values())))))
        manifests = {}
        for subset in subsets:
            manifests[subset.name] = build(subset, jobs[subset.name], run, config)
            if not config.strict:
                finish(subset)
        if config.strict:
            count = sum(len(names) for manifest in manifests.values() for names in manifest.skipped.values())
            if count:
                raise UserError(f"{count} skipped and --strict is set; nothing written")
            for subset in subsets:
                finish(subset)
    return manifests


def output_names(names, config):
    """{subset: folder name}, with --train_name and --test_name applied."""
    new_names = {name: name for name in names}
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


def finish(subset):
    """Give a built folder its final name."""
    swap_in(partial_folder(subset.target), subset.target)
    print(f"{subset.name}: finished, {subset.target}", flush=True)


def build(subset, jobs, run, config):
    """Write a subset's shards and manifest into its partial folder; returns the manifest."""
    partial = partial_folder(subset.target)
    partial.mkdir()
    written = write_shards(jobs, run, subset.name)
    # Rows are numbered without gaps: what comes after a skip is written again with its right numbers.
    again = {}
    first = 0
    for n, result in enumerate(written):
        if jobs[n].first != first and result.lengths:
            again[n] = jobs[n]._replace(first=first)
        first += len(result.lengths)
    if again:
        label = f"{subset.name}, numbering the rows after a skip"
        for n, result in zip(again, write_shards(list(again.values()), run, label)):
            if result.lengths != written[n].lengths:
                raise UserError(f"{subset.tree.mixture_dir.parent}: changed while it was read; run again")
            written[n] = result
    lengths = [length for result in written for length in result.lengths]
    skipped = defaultdict(list, subset.skipped)
    for result in written:
        for reason, names in result.skipped.items():
            skipped[reason] += names
    report(subset.name, lengths, skipped, config, sum(bool(result.lengths) for result in written))
    if not lengths:
        raise UserError(f"{subset.name}: not one usable mixture; nothing written")
    tree = subset.tree
    manifest = Manifest(
        subset=subset.name, corpus="/".join(tree.mixture_dir.parent.resolve().parts[-PATH_PARTS:]),
        mixture=tree.mixture_dir.name, targets=[path.name for path in tree.source_dirs], task=config.task,
        num_spks=len(tree.source_dirs), sample_rate=config.sample_rate, rows=len(lengths),
        hours=sum(lengths) / config.sample_rate / 3600, min_length=min(lengths), max_length=max(lengths),
        shards=[{"file": job.path.name, "rows": len(result.lengths), "bytes": result.bytes,
                 "db_bytes": result.db_bytes, "sha256": result.sha256}
                for job, result in zip(jobs, written) if result.lengths],
        skipped={reason: names for reason, names in sorted(skipped.items())})
    write_manifest(partial, manifest)
    return manifest


def plan(subset, folder, config):
    """The jobs of a subset: consecutive ranges of its mixtures, the same for any number of workers."""
    mixtures = subset.mixtures
    rows = min(config.shard_rows, max(SMALL_SHARD_ROWS, -(-len(mixtures) // MIN_SHARDS)))
    stem = re.sub(r"[^\w.+-]", "_", subset.target.name)  # MindRecord accepts few signs in a file name
    return [Job(folder / f"{stem}-{n:05d}.mindrecord", mixtures[start : start + rows], start, config.sample_rate,
                round(config.min_seconds * config.sample_rate))
            for n, start in enumerate(range(0, len(mixtures), rows))]


def write_shards(jobs, run, label):
    """Have :func:`write_job` done for every job in worker processes, with progress."""
    with Progress(sum(len(job.mixtures) for job in jobs), label) as progress:
        return run(jobs, progress.add)


def write_job(job, tick):
    """Write one shard (in a worker process); ``tick()`` once for each mixture."""
    lengths, skipped = [], defaultdict(list)

    def rows():
        for mixture in job.mixtures:
            tick()
            try:
                signal, sources = load(mixture, job.sample_rate, job.min_samples)
                if row_bytes(len(signal), len(sources)) > page:
                    raise Skip("too long", f"{mixture.id} ({len(signal)} samples; {MAX_PAGE_BYTES >> 20} MB fit)")
            except Skip as skip:
                skipped[skip.reason].append(str(skip))
                continue
            yield row(mixture.id, job.first + len(lengths), job.sample_rate, signal, sources)
            lengths.append(len(signal))

    page = page_bytes([_expected_bytes(mixture) for mixture in job.mixtures])
    if not write_shard(job.path, rows(), page):
        return Written([], dict(skipped), 0, 0, "")
    sizes = [os.stat(name).st_size for name in (job.path, f"{job.path}.db")]
    return Written(lengths, dict(skipped), *sizes, _sha256(job.path))


def _expected_bytes(mixture):
    try:
        return row_bytes(probe(mixture.mixture_path).frames, len(mixture.source_paths))
    except UserError:
        return 0  # load() will say what is wrong with it


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Progress:
    """A tqdm bar on a terminal, else a line every 10 % (no more than one a second) or 30 seconds."""

    def __init__(self, total, label):
        self.total, self.label, self.done = total, label, 0
        self.bar = tqdm(total=total, desc=label, unit="mix") if sys.stderr.isatty() else None
        self.began = self.said_at = time.monotonic()
        self.said = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def add(self, count):
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
            return
        now = time.monotonic()
        silent = now - self.said_at
        if (10 * (self.done - self.said) >= self.total and silent >= 1) or silent >= 30:
            self.said, self.said_at = self.done, now
            rate = self.done / max(now - self.began, 1e-3)
            print(f"{self.label}: {self.done} of {self.total} mixtures, {rate:.0f} a second", flush=True)


def report(name, lengths, skipped, config, shards=0):
    """Print what became of a subset."""
    hours = sum(lengths) / config.sample_rate / 3600
    print(f"{name}: {len(lengths)} rows, {hours:.3f} h, {shards} shards", flush=True)
    for reason, names in sorted(skipped.items()):
        more = f", ... and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        print(f"{name}: skipped {len(names)}, {reason}: {'; '.join(names[:SHOWN])}{more}", flush=True)

"""A corpus on disk to record folders: validate, write shards in parallel, put the manifest last."""

import ctypes
import fcntl
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from src import __version__
from src.corpus import Skip, find_subsets, load, pair
from src.errors import UserError
from src.manifest import NAME, Manifest, load_manifest, write_manifest
from src.mindrecord import row, row_fits, write_shard

PR_SET_PDEATHSIG = 1  # linux/prctl.h
SHOWN = 5  # names printed for each reason; the manifest has all


def preprocess(config):
    """Run preprocess.py's job; see :class:`src.config.PreprocessConfig`. Returns {subset: Manifest}.

    Raises:
        UserError: nothing usable, an output that must not be replaced, a disk that refuses.
    """
    subsets = find_subsets(config.in_dir, config.sample_rate, config.mode, config.task, config.num_spks)
    subsets = choose(subsets, config.subsets)
    targets = {name: Path(config.out_dir) / new for name, new in output_names(subsets, config).items()}
    for target in targets.values():  # every refusal comes before any work
        check_target(target, config.overwrite)
    return {name: build_subset(name, tree, targets[name], config) for name, tree in subsets.items()}


def choose(subsets, wanted):
    """The subsets named in the comma-separated ``wanted``, or all."""
    names = [word.strip() for word in wanted.split(",") if word.strip()]
    missing = [name for name in names if name not in subsets]
    if missing:
        raise UserError(f"--subsets {missing[0]}: not in the corpus, which has {', '.join(subsets)}")
    return {name: subsets[name] for name in names} if names else subsets


def output_names(subsets, config):
    """{subset: folder name}, with --train_name and --test_name applied."""
    names = {name: name for name in subsets}
    for flag, new, fits in (("train_name", config.train_name, lambda n: n.startswith("train") or n == "tr"),
                            ("test_name", config.test_name, lambda n: n in ("test", "tt"))):
        if new:
            matches = [name for name in subsets if fits(name)]
            if len(matches) != 1:
                raise UserError(f"--{flag} needs exactly one such subset, found {', '.join(matches) or 'none'}; "
                                "choose with --subsets")
            names[matches[0]] = new
    if len(set(names.values())) < len(names):
        raise UserError(f"two subsets would be written to one folder: {names}")
    return names


def check_target(target, overwrite):
    """Refuse a valid folder without --overwrite, and a folder that is not ours in any case."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"{target}: exists and is not a folder")
    if (target / NAME).exists():
        try:
            load_manifest(target)
        except UserError:
            return  # ours and broken: rebuilt
        if not overwrite:
            raise UserError(f"{target}: already holds records; --overwrite replaces them")
        return
    foreign = [p.name for p in target.iterdir() if not (".mindrecord" in p.name or p.name.startswith("."))]
    if foreign:
        raise UserError(f"{target}: holds files that are not records ({foreign[0]} ...); choose another --out_dir")


def build_subset(name, tree, target, config):
    """Write one record folder and return its manifest."""
    mixtures, skipped = pair(tree)
    print(f"{name}: {len(mixtures)} mixtures with {len(tree.source_dirs)} sources in {tree.mixture_dir.parent}",
          flush=True)
    # Built beside the target, so that an old folder stays whole until the new one is.
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with open(partial.with_name(f".{target.name}.lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"{target}: another preprocess.py is writing it") from None
            try:
                return _build(name, tree, mixtures, skipped, partial, target, config)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                os.unlink(lock.name)
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror or error}") from None


def _build(name, tree, mixtures, skipped, partial, target, config):
    for stale in target.parent.glob(f".{target.name}.partial-*"):  # of killed runs: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    partial.mkdir()
    blocks = [mixtures[i : i + config.shard_rows] for i in range(0, len(mixtures), config.shard_rows)]
    jobs = [(partial / f"{target.name}-{n:05d}.mindrecord", block, n * config.shard_rows, config.sample_rate,
             round(config.min_seconds * config.sample_rate)) for n, block in enumerate(blocks)]
    results = run_jobs(jobs, config.num_workers, name, len(mixtures))
    lengths = [length for result in results for length in result["lengths"]]
    skipped = defaultdict(list, skipped)
    for result in results:
        for reason, names in result["skipped"].items():
            skipped[reason] += names
    report(name, lengths, skipped, config)
    if not lengths:
        raise UserError(f"{name}: not one usable mixture; nothing written")
    if skipped and config.strict:
        raise UserError(f"{name}: {sum(map(len, skipped.values()))} files skipped and --strict is set; nothing written")
    shards = [{"file": path.name, "rows": len(result["lengths"]), "bytes": path.stat().st_size}
              for (path, *_), result in zip(jobs, results) if result["lengths"]]
    manifest = Manifest(
        subset=name, corpus=str(tree.mixture_dir.resolve()), task=config.task, num_spks=len(tree.source_dirs),
        sample_rate=config.sample_rate, rows=len(lengths), hours=sum(lengths) / config.sample_rate / 3600,
        min_length=min(lengths), max_length=max(lengths), shards=shards, skipped=dict(skipped),
        created_by=f"dprnn {__version__}")
    write_manifest(partial, manifest)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(partial, target)
    shutil.rmtree(old, ignore_errors=True)
    return manifest


def run_jobs(jobs, workers, label, total):
    """Write the shards in ``workers`` processes, with progress; results in job order."""
    began = said = time.monotonic()
    done, results = 0, [None] * len(jobs)
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    show = sys.stderr.isatty()
    with context.Pool(min(workers, len(jobs)) or 1, _start_worker, (counter,)) as pool:
        waiting = {n: pool.apply_async(write_job, (job,)) for n, job in enumerate(jobs)}
        with tqdm(total=total, desc=label, unit="mix", disable=not show) as bar:
            while waiting:
                next(iter(waiting.values())).wait(0.2)
                for n in [n for n, job in waiting.items() if job.ready()]:
                    results[n] = waiting.pop(n).get()
                bar.update(counter.value - done)
                done = counter.value
                if not show and time.monotonic() - said > 30:
                    said = time.monotonic()
                    print(f"{label}: {done} of {total} mixtures, {done / (said - began):.0f} a second", flush=True)
    return results


def _start_worker(counter):
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a killed parent leaves no writers behind
    os.environ.setdefault("GLOG_v", "3")


def write_job(job):
    """Write one shard (in a worker). Returns the lengths of its rows, samples, and what it skipped."""
    path, mixtures, first, sample_rate, min_samples = job
    lengths, skipped = [], defaultdict(list)

    def rows():
        for mixture in mixtures:
            with _counter.get_lock():
                _counter.value += 1
            try:
                signals, sources = load(mixture, sample_rate, min_samples)
                if not row_fits(len(signals), len(sources)):
                    raise Skip("too long for a record", f"{mixture.id} ({len(signals)} samples)")
            except Skip as skip:
                skipped[skip.reason].append(str(skip))
                continue
            yield row(mixture.id, first + len(lengths), sample_rate, signals, sources)
            lengths.append(len(signals))

    write_shard(path, rows())
    return {"lengths": lengths, "skipped": dict(skipped)}


def report(name, lengths, skipped, config):
    """Print what became of a subset."""
    print(f"{name}: {len(lengths)} mixtures, {sum(lengths) / config.sample_rate / 3600:.3f} h", flush=True)
    for reason, names in sorted(skipped.items()):
        more = f", ... {len(names) - SHOWN} more in the manifest" if len(names) > SHOWN else ""
        print(f"{name}: skipped {len(names)}, {reason}: {', '.join(names[:SHOWN])}{more}", flush=True)

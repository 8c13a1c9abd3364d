"""The shards of one subset, written in worker processes. Each is noted down with its checksums when it is whole, so
that a run that was killed goes on where it was.
"""

import hashlib
import json
import os
import re
from collections import defaultdict, namedtuple
from pathlib import Path

from src import __version__
from src.core.errors import UserError
from src.core.files import sha256, syncing, write
from src.core.progress import Progress
from src.data.corpora.subset import Skip
from src.data.records.mindrecord import MAX_PAGE_BYTES, page_bytes, row, row_bytes, row_checksum, write_shard

MIN_SHARDS = 16  # so many workers have something to do in a corpus of this many ...
SMALL_SHARD_ROWS = 100  # ... times this many mixtures

# One shard to write: path of the shard (None: wavs alone) and of its note, folder for the wavs (None: no wavs), first:
# number of its first row in the subset, fixed: whether that number must hold for a shard that is there already.
Job = namedtuple("Job", "path note wav_dir recipe items first fixed sample_rate page key")
# first, lengths [rows] in samples; crc32: of each row; wav_facts, wavs_sha256: of the wavs, in order
Written = namedtuple("Written", "first lengths skipped bytes db_bytes sha256 db_sha256 crc32 wav_facts wavs_sha256")


def plan(subset, records, notes, wav_dir, stem, config):
    """The jobs of a subset: consecutive ranges of its items, the same for any number of workers.

    Args:
        records, wav_dir (Path): folders for the shards and the wavs; None: none of them.
        notes (Path): folder for the notes.
        stem (str): of the names of shards.
    """
    rows = min(config.shard_rows, max(SMALL_SHARD_ROWS, -(-len(subset.items) // MIN_SHARDS)))
    stem = re.sub(r"[^\w.+-]", "_", stem)  # MindRecord accepts few signs in a file name
    sizes = [row_bytes(samples, len(subset.targets)) for samples in subset.samples]
    parts = [slice(start, start + rows) for start in range(0, len(subset.items), rows)]
    # one for all: shards of different pages cannot be read together
    page = max((page_bytes(sizes[part]) for part in parts), default=0)
    jobs = []
    for n, part in enumerate(parts):
        name = f"{stem}-{n:05d}.mindrecord"
        key = _digest(__version__, name, part.start, page, subset.recipe.options, subset.items[part],
                      subset.stamps[part])
        jobs.append(Job(records and records / name, notes / f"{name}.json", wav_dir, subset.recipe, subset.items[part],
                        part.start, False, config.sample_rate, page, key))
    return jobs


def request_of(jobs):
    """What tells a folder made by these very jobs from any other."""
    return _digest(*(job.key for job in jobs))


def _digest(*values):
    return hashlib.sha256(json.dumps(values, default=str).encode(errors="surrogateescape")).hexdigest()


def is_noted(job):
    """Whether a job was finished by an earlier run, its files not looked at."""
    return _read_note(job) is not None


def write_all(jobs, run, label):
    """Have every job done by ``run`` (of :func:`src.core.worker_pool.worker_pool`), rows numbered without gaps.

    Returns:
        list[Written]: in the order of the jobs.
    """
    written = _write_all(jobs, run, label)
    # what comes after something left out is written again with its right numbers
    again, first = {}, 0
    for n, result in enumerate(written):
        if result.first != first and result.lengths:
            again[n] = jobs[n]._replace(first=first, fixed=True)
        first += len(result.lengths)
    if again:
        for n, result in zip(again, _write_all(list(again.values()), run, f"{label}, numbering the rows after a skip")):
            if result.lengths != written[n].lengths:
                raise UserError(f"{label}: its files changed while they were read; run again")
            written[n] = result
    return written


def _write_all(jobs, run, label):
    with Progress(sum(len(job.items) for job in jobs), label) as progress:
        return run(jobs, progress.add)


def write_job(job, tick):
    """Write one shard and its wavs, or find them whole (in a worker process); ``tick(count)`` as it gets on."""
    kept = _read_note(job)
    if kept and (kept.first == job.first or not job.fixed) and _is_whole(job, kept):
        tick(len(job.items))
        return kept
    job.note.unlink(missing_ok=True)
    with syncing() as keep:  # thousands of small wavs would wait for the disk one by one
        written = _write(job, tick, keep)
    write(job.note, json.dumps({"key": job.key, **written._asdict()}))
    return written


def _read_note(job):
    try:
        values = json.loads(job.note.read_text(encoding="utf-8"))
        if values.pop("key") != job.key:
            return None
        written = Written(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return written if job.recipe.accepts(written.skipped) else None


def _is_whole(job, written):
    """Whether the files of a note are there, with its checksums."""
    try:
        if job.path and written.lengths and (sha256(job.path), sha256(f"{job.path}.db")) != (
                written.sha256, written.db_sha256):
            return False
        if not job.wav_dir:
            return True
        if len(written.wav_facts) != len(written.lengths):  # noted when the wavs were there already
            return False
        digest = hashlib.sha256()
        for facts in written.wav_facts:
            for name in job.recipe.wav_names(facts[0]):
                digest.update((job.wav_dir / name).read_bytes())
    except OSError:
        return False
    return digest.hexdigest() == written.wavs_sha256


def _write(job, tick, keep):
    lengths, skipped, crc32, wav_facts = [], defaultdict(list), [], []
    digest = hashlib.sha256()

    def rows():
        for item in job.items:
            tick()
            try:
                loaded = job.recipe.load(item)
                if job.path and row_bytes(len(loaded.mixture), len(loaded.sources)) > job.page:
                    raise Skip("too long", f"{loaded.id} ({len(loaded.mixture)} samples; {MAX_PAGE_BYTES >> 20} MB "
                                           "fit)")
            except Skip as skip:
                skipped[skip.reason].append(str(skip))
                continue
            if job.wav_dir:
                for name, content in loaded.wavs.items():
                    (job.wav_dir / name).write_bytes(content)
                    keep(job.wav_dir / name)
                    digest.update(content)
                wav_facts.append(loaded.wav_facts)
            item = row(loaded.id, job.first + len(lengths), job.sample_rate, loaded.mixture, loaded.sources)
            lengths.append(len(loaded.mixture))
            crc32.append(row_checksum(item))
            yield item

    sizes, sums = [0, 0], ["", ""]
    if not job.path:
        for _ in rows():
            pass
    elif write_shard(job.path, rows(), job.page):
        files = (job.path, f"{job.path}.db")
        for name in files:
            keep(name)
        sizes, sums = [os.stat(name).st_size for name in files], [sha256(name) for name in files]
    return Written(job.first, lengths, dict(skipped), *sizes, *sums, crc32, wav_facts, digest.hexdigest())


def shard_entry(job, written):
    """A shard as the manifest lists it; ``crc32``: 8 hex digits for each row, in order."""
    return {"file": Path(job.path).name, "rows": len(written.lengths), "bytes": written.bytes,
            "db_bytes": written.db_bytes, "sha256": written.sha256, "db_sha256": written.db_sha256,
            "crc32": "".join(f"{value:08x}" for value in written.crc32)}

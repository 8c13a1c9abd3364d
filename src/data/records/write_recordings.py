"""Single recordings to record folders, for dynamic mixing: voices (task speech) and noises (task noise).

Recordings of any rate are resampled; long ones are cut into pieces, since a row is read whole each time a few seconds
of it are wanted. The rows of a speaker follow each other, and the manifest has their lengths.
"""

import os
import shutil
from collections import defaultdict, namedtuple
from contextlib import ExitStack
from pathlib import Path

from src.audio.files import AudioError, measure, probe
from src.core.errors import UserError, disk_errors
from src.core.files import make_folder, sha256, sync_all
from src.core.progress import Progress
from src.core.worker_pool import worker_pool
from src.data.corpora.mixture_tree import PATH_PARTS, find_subsets
from src.data.corpora.voices import find_recordings, holds_mixtures, recordings_of_mixtures, subset_folders
from src.data.records.folder import check_target, clean_up, locked, partial_folder, swap_in
from src.data.records.manifest import Manifest, write_manifest
from src.data.records.mindrecord import (
    RECORDING_SCHEMA,
    page_bytes,
    recording_row,
    row_bytes,
    row_checksum,
    write_shard,
)
from src.data.records.speech_pieces import PIECE_SECONDS, pieces, usable_pieces
from src.data.records.write_mixtures import left_out, output_names

SHARD_RECORDINGS = 500

__all__ = ["PIECE_SECONDS", "pieces", "preprocess_recordings"]

Job = namedtuple("Job", "path recordings sample_rate min_samples page")
# lengths: {speaker: samples of each row}; entry: of the shard in the manifest, None without a row; low: how many
# recordings have a lower rate than is wanted
Written = namedtuple("Written", "lengths skipped entry low")


def preprocess_recordings(config):
    """Do preprocess.py's job for the tasks speech and noise. Returns {subset: Manifest}.

    Raises:
        UserError: nothing usable, an output that must not be replaced, a disk that refuses.
    """
    with disk_errors(config.out_dir):
        return _preprocess(config)


def _preprocess(config):
    for name in ("metadata", "librispeech_dir", "write_wav"):
        if getattr(config, name):
            raise UserError(f"--{name} makes mixtures; --task {config.task} takes recordings from --in_dir")
    sources = find_sources(config)
    if config.dry_run:
        return _foresee(sources)
    targets = {name: Path(config.out_dir) / new for name, new in output_names(sources, config).items()}
    for target in targets.values():  # every refusal comes before any work
        check_target(target, config.overwrite)
    make_folder(config.out_dir)
    manifests = {}
    with ExitStack() as stack:
        for target in targets.values():
            stack.enter_context(locked(target))
            clean_up(target)
            check_target(target, config.overwrite)  # as it is now that nobody else can change it
            stack.callback(shutil.rmtree, partial_folder(target), ignore_errors=True)
        jobs = {name: plan(recordings, partial_folder(targets[name]), config)
                for name, (_, recordings, _) in sources.items()}
        run = stack.enter_context(worker_pool(write_recordings, min(config.num_workers, max(map(len, jobs.values())))))
        for name, (folder, _, skipped) in sources.items():
            manifests[name] = _build(name, folder, skipped, jobs[name], run, config)
        if config.strict and any(manifest.skipped for manifest in manifests.values()):
            count = sum(len(names) for manifest in manifests.values() for names in manifest.skipped.values())
            raise UserError(f"{count} skipped and --strict is set; nothing written")
        for name, target in targets.items():
            swap_in(partial_folder(target), target)
            print(f"{name}: finished, {target}", flush=True)
    return manifests


def _foresee(sources):
    """Print what there would be to write, as far as headers tell."""
    for name, (_, recordings, skipped) in sources.items():
        seconds, bad = 0.0, defaultdict(list, skipped)
        for recording in recordings:
            try:
                info = measure(recording.path)
                seconds += info.frames / info.sample_rate
            except AudioError as error:
                bad[error.reason].append(recording.id)
        print(f"{name}: {seconds / 3600:.3f} h, nothing written (--dry_run)", flush=True)
        left_out(name, bad)
    return {}


def find_sources(config):
    """{subset: (folder, list[Recording], {reason: [name]})} of a mixture tree's sources or a tree of recordings."""
    found = {}
    if config.task == "speech" and Path(config.in_dir).is_dir() and holds_mixtures(config.in_dir):
        trees = find_subsets(config)
        for name, tree in trees.items():
            found[name] = (tree.mixture_dir.parent, *recordings_of_mixtures(tree))
    else:
        folders = subset_folders(config.in_dir) if config.task == "speech" else {
            Path(config.in_dir).resolve().name: Path(config.in_dir)}
        chosen = [word.strip() for word in config.subsets.split(",") if word.strip()] or list(folders)
        for name in chosen:
            if name not in folders:
                raise UserError(f"--subsets {name}: not in {config.in_dir}, which has {', '.join(folders)}")
            level = config.speaker_level if config.task == "speech" else 0
            found[name] = (folders[name], *find_recordings(folders[name], level))
    for name, (folder, recordings, _) in found.items():
        speakers = len({r.speaker for r in recordings})
        print(f"{name}: {len(recordings)} recordings" + (f" of {speakers} speakers" if config.task == "speech" else "")
              + f" in {folder}", flush=True)
    return found


def plan(recordings, folder, config):
    """The jobs of a subset: consecutive ranges of its recordings, the same for any number of workers."""
    size = min(config.shard_rows, SHARD_RECORDINGS, max(1, len(recordings)))
    page = page_bytes([row_bytes(PIECE_SECONDS * config.sample_rate + 2, 0)] * size)  # one for all: see shards.plan
    return [Job(folder / f"recordings-{n:05d}.mindrecord", recordings[start : start + size], config.sample_rate,
                round(config.min_seconds * config.sample_rate), page)
            for n, start in enumerate(range(0, len(recordings), size))]


def _build(name, folder, skipped, jobs, run, config):
    """Write a subset's shards and manifest into its partial folder; returns the manifest."""
    partial = jobs[0].path.parent
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    partial.mkdir()
    with Progress(sum(len(job.recordings) for job in jobs), name, "recordings") as progress:
        written = run(jobs, progress.add)
    skipped, speakers = defaultdict(list, skipped), defaultdict(list)
    for result in written:
        for reason, names in result.skipped.items():
            skipped[reason] += names
        for speaker, values in result.lengths.items():
            speakers[speaker] += values
    lengths = [length for values in speakers.values() for length in values]
    hours = sum(lengths) / config.sample_rate / 3600
    print(f"{name}: {len(lengths)} rows, {hours:.3f} h", flush=True)
    low = sum(result.low for result in written)
    if low:
        print(f"{name}: {low} were recorded at less than {config.sample_rate} Hz: no high frequencies in them",
              flush=True)
    left_out(name, skipped)
    if not lengths:
        raise UserError(f"{name}: not one usable recording; nothing written")
    manifest = Manifest(
        subset=name, corpus="/".join(Path(folder).resolve().parts[-PATH_PARTS:]), mixture="", targets=[],
        task=config.task, num_spks=1, sample_rate=config.sample_rate, rows=len(lengths),
        hours=hours, min_length=min(lengths), max_length=max(lengths),
        shards=[result.entry for result in written if result.entry],
        skipped={reason: names for reason, names in sorted(skipped.items())}, speakers=dict(speakers))
    write_manifest(partial, manifest)
    return manifest


def write_recordings(job, tick):
    """Write one shard (in a worker process); ``tick()`` once for each recording."""
    lengths, skipped, crc32, low = defaultdict(list), defaultdict(list), [], []

    def rows():
        for recording in job.recordings:
            tick()
            try:
                low.extend([recording.id] * (probe(recording.path).sample_rate < job.sample_rate))
                for name, level, pcm in usable_pieces(recording, job.sample_rate, job.min_samples, skipped):
                    row = recording_row(name, recording.speaker, job.sample_rate, level, pcm)
                    lengths[recording.speaker].append(len(pcm))
                    crc32.append(f"{row_checksum(row):08x}")
                    yield row
            except AudioError as error:
                skipped[error.reason].append(f"{recording.id} ({str(error).split(': ', 1)[-1]})")

    if not write_shard(job.path, rows(), job.page, RECORDING_SCHEMA):
        return Written({}, dict(skipped), None, len(low))
    index = f"{job.path}.db"
    sync_all([job.path, index])
    return Written(dict(lengths), dict(skipped), {
        "file": job.path.name, "rows": len(crc32), "bytes": os.stat(job.path).st_size,
        "db_bytes": os.stat(index).st_size, "sha256": sha256(job.path), "db_sha256": sha256(index),
        "crc32": "".join(crc32)}, len(low))

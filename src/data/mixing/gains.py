"""The gains that give every mixture of mix.py its levels."""

import json
import shutil
from collections import defaultdict, namedtuple

import numpy as np

from src.audio.files import AudioError
from src.audio.levels import PEAK, active_level, gain_of, level, loudness
from src.core.errors import UserError
from src.core.files import write
from src.core.progress import Progress
from src.core.worker_pool import worker_pool
from src.data.corpora.librimix_rules import mix, rate_of, read_row, render
from src.data.records.write_mixtures import left_out

JOB_ROWS = 50  # mixtures measured at a time

# note: where the result is kept for a run that goes on after this one was ended; request: what it was made by
Job = namedtuple("Job", "config kinds rows keys note request")
# rows: with their gains; skipped: {reason: [name]}; quietened: how many were scaled down
Measured = namedtuple("Measured", "rows skipped quietened")


def measure(rows, config, kinds, subset, label, notes, request):
    """Rows with the gains that give every mixture its levels; the same for any number of workers.

    What an ended run of the same ``request`` noted in the folder ``notes`` is not measured again.

    Args:
        rows (list[Row]): with gains of 1.
        subset (int): number of the subset: other subsets have other random levels.
    Raises:
        UserError: not one can be used.
    """
    keys = [(config.seed, subset + 1, number + 1) for number in range(len(rows))]
    jobs = [Job(config, kinds, rows[start : start + JOB_ROWS], keys[start : start + JOB_ROWS],
                notes / f"{start:08d}.json", request) for start in range(0, len(rows), JOB_ROWS)]
    with worker_pool(measure_rows, min(config.num_workers, len(jobs))) as run, Progress(
            len(rows), f"{label}, levels") as progress:
        results = run(jobs, progress.add)
    skipped = defaultdict(list)
    for result in results:
        for reason, names in result.skipped.items():
            skipped[reason] += names
    left_out(label, skipped)
    quietened = sum(result.quietened for result in results)
    if quietened:
        print(f"{label}: {quietened} mixtures are quieter than asked, their peak is {PEAK} of full scale", flush=True)
    found = [row for result in results for row in result.rows]
    if not found:
        shutil.rmtree(notes)
        raise UserError(f"{label}: not one usable mixture; nothing written")
    return found


def measure_rows(job, tick):
    """Do one :class:`Job`, or find it done (in a worker process); ``tick(count)`` as it gets on."""
    kept = _read_note(job)
    if kept:
        tick(len(job.rows))
        return kept
    gains, skipped, quietened = {}, defaultdict(list), 0
    for row, key in zip(job.rows, job.keys):
        tick()
        try:
            found, quieter = with_levels(row, job.config, job.kinds, np.random.default_rng(key))
        except AudioError as error:
            skipped[error.reason].append(f"{row.id} ({error})")
            continue
        gains[row.id] = found.source_gains, found.noise_gain
        quietened += quieter
    write(job.note, json.dumps([job.request, gains, skipped, quietened]))
    return _read_note(job)


def _read_note(job):
    """:class:`Measured` of what was noted for this job; None if nothing was."""
    try:
        request, gains, skipped, quietened = json.loads(job.note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if request != job.request:
        return None
    rows = [row._replace(source_gains=tuple(gains[row.id][0]), noise_gain=gains[row.id][1])
            for row in job.rows if row.id in gains]
    return Measured(rows, skipped, quietened)


def with_levels(row, config, kinds, rng):
    """A row with its gains, and whether it had to be made quieter to keep clear of full scale.

    Levels are those of what will be heard: at the final rate, of the final length.

    Raises:
        AudioError: a file that cannot be used, or silence.
    """
    rate = config.sample_rate
    measured = {"loudness": loudness, "rms": active_level}[config.level]
    sources, noise = read_row(row, config.speech_dir, config.noise_dir or None, config.rir_dir)
    rendered = render(sources, row.source_gains, noise, row.noise_gain, rate, config.mode, rate_of(row))

    def level_of(samples, measured, path):
        try:
            found = measured(samples, rate)
        except ValueError:  # shorter than loudness can be measured
            raise AudioError("too short", f"{path}: {samples.shape[-1] / rate:.2f} s of it are used") from None
        if found == -np.inf:
            raise AudioError("silent", f"{path}: the part that is used is silent")
        return found

    gains = np.array([gain_of(rng.uniform(config.level_low, config.level_high) - level_of(source, measured, path))
                      for source, path in zip(rendered.sources, row.source_paths)])
    voices = gains[:, None] * rendered.sources
    noise_gain = None
    if noise is not None:
        steady = loudness if config.level == "loudness" else lambda samples, _: level(samples)
        if config.noise == "snr":
            voice = voices[0] if kinds == ["mix_single"] else voices.sum(axis=0)
            wanted = level_of(voice, measured, row.id) - rng.uniform(config.snr_low, config.snr_high)
        else:
            wanted = rng.uniform(config.noise_low, config.noise_high)
        noise_gain = gain_of(wanted - level_of(rendered.noise, steady, row.noise_path))
        rendered = rendered._replace(noise=(noise_gain * rendered.noise).astype(np.float32))
    rendered = rendered._replace(sources=voices.astype(np.float32))
    signals = [*rendered.sources, *(mix(rendered, kind) for kind in kinds)]
    signals += [] if noise is None else [rendered.noise]
    scale = min(1.0, PEAK / max(float(np.abs(signal).max()) for signal in signals))
    return row._replace(source_gains=tuple(float(gain * scale) for gain in gains),
                        noise_gain=None if noise is None else float(noise_gain * scale)), scale < 1

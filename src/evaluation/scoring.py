"""Scores of every utterance: one row each, with the mean over its voices and the score of each voice."""

from collections import defaultdict, deque, namedtuple
from contextlib import closing

import numpy as np

from src.core.progress import Progress
from src.core.worker_pool import Crash, stream
from src.data.corpora.subset import Skip
from src.evaluation.scored_data import group_by_length
from src.evaluation.speech_metrics import score_voices
from src.tasks.separation.scorer import Scorer

# rows: dicts, see columns(); index: of each row in the data; assignment: the estimates that serve its voices;
# skipped: {reason: [utterance]}, not scored at all; failures: {metric: {reason: [utterance]}}, without that metric
Scored = namedtuple("Scored", "rows index assignment skipped failures")


def columns(metrics, num_spks):
    """Names of the numbers of a row: NAME_in of the mixture, NAME of the estimates, NAMEi the improvement; per voice
    NAME_sK and NAMEi_sK."""
    whole = [column for name in metrics for column in (f"{name}_in", name, f"{name}i")]
    return whole + [f"{column}_s{c + 1}" for c in range(num_spks) for name in metrics for column in (name, f"{name}i")]


def score(estimate, data, metrics, batch_size=1, limit=0, num_workers=1, label="scoring"):
    """Score ``estimate`` on ``data``; SI-SNR decides which estimate serves which voice, for the other metrics too.

    Args:
        estimate: :class:`src.evaluation.estimates.ModelEstimates` or :class:`src.evaluation.estimates.FileEstimates`.
        data (src.evaluation.scored_data.Data): what to score it on.
        metrics (list[str]): names of :data:`src.evaluation.speech_metrics.METRICS`, si_snr among them.
        limit (int): only the first so many utterances; 0: all.
        num_workers (int): processes for the metrics other than SI-SNR.
    Returns:
        Scored: rows in the order of the data.
    """
    result = Scored([], [], [], defaultdict(list), {name: defaultdict(list) for name in metrics[1:]})
    order = group_by_length(data.lengths, batch_size, limit or len(data.lengths))
    others = [name for name in metrics if name != "si_snr"]
    with Progress(sum(map(len, order)), label, "utterances") as progress:
        rows = _rows(estimate, data, order, metrics, result, progress)
        if not others:
            for _ in rows:
                progress.add(1)
        else:
            waiting = deque()  # what the processes have: (row, metric), as stream() returns them

            def jobs():
                for row, item, estimates in rows:
                    for name in others:
                        waiting.append((row, name))
                        yield name, data.sample_rate, item.mixture, item.sources, estimates

            count = min(num_workers, len(others) * len(data.lengths))
            with closing(stream(score_voices, count, jobs())) as answers:
                for answer in answers:
                    row, name = waiting.popleft()
                    _enter(row, name, answer, result.failures[name])
                    if name == others[-1]:
                        progress.add(1)
    where = np.argsort(result.index, kind="stable")
    return result._replace(**{name: [getattr(result, name)[i] for i in where] for name in Scored._fields[:3]})


def _rows(estimate, data, order, metrics, result, progress):
    """Run the model and yield (row, utterance, estimates in the order of its voices); the rest goes to ``result``."""
    scorer, names = Scorer(data.num_spks), columns(metrics, data.num_spks)
    for group, items in zip(order, data.batches(order)):
        try:
            estimates = estimate(items)
        except Skip as skip:
            result.skipped[skip.reason].append(str(skip))
            progress.add(len(items))
            continue
        scores = scorer(np.stack([item.mixture for item in items]), np.stack([item.sources for item in items]),
                        estimates)
        for i, item in enumerate(items):
            if np.isnan(scores["si_snri"][i]).any():
                result.skipped["silent source"].append(item.id)
                progress.add(1)
                continue
            row = {"id": item.id, "seconds": item.mixture.size / data.sample_rate} | dict.fromkeys(names, np.nan)
            enter(row, "si_snr", scores["si_snr_in"][i], scores["si_snr"][i])
            result.rows.append(row)
            result.index.append(group[i])
            result.assignment.append(scores["assignment"][i])
            yield row, item, estimates[i][scores["assignment"][i]]


def enter(row, name, before, after):
    """Write a metric's scores of an utterance's voices, [C] of the mixture and [C] of the estimates, into its row.

    An utterance has a score where all its voices have one.
    """
    row[f"{name}_in"], row[name] = float(np.mean(before)), float(np.mean(after))
    row[f"{name}i"] = float(np.mean(after - before))
    for c, (old, new) in enumerate(zip(before, after)):
        row[f"{name}_s{c + 1}"], row[f"{name}i_s{c + 1}"] = float(new), float(new - old)


def _enter(row, name, answer, failures):
    if isinstance(answer, Crash):
        failures["the metric's program crashed"].append(row["id"])
        return
    before, after, reasons = answer
    enter(row, name, before, after)
    for reason in dict.fromkeys(filter(None, reasons)):
        failures[reason].append(row["id"])

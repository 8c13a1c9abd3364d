"""Two models on the same utterances: paired differences."""

from collections import namedtuple
from pathlib import Path

import numpy as np

from src.core.errors import UserError, first_names
from src.evaluation import confidence
from src.evaluation.estimates import FileEstimates, ModelEstimates
from src.evaluation.result_files import CSV_NAME, JSON_NAME, read_results
from src.evaluation.speech_metrics import METRICS

# what rounding in another evaluation's file may change
SAME_DB, SAME_SECONDS, SAME_SCORE = 0.01, 0.002, 1e-4

# difference: this model minus the other; wins, losses, ties: utterances; significant: the interval excludes 0
Difference = namedtuple("Difference", "this other difference wins losses ties significant")


def open_other(path, **options):
    """What ``--compare_with`` names: the rows of an evaluation that was written before, or estimates to score.

    Args:
        options: of a model, as of :func:`src.weights.trained_model.load_model`.
    Returns:
        tuple: (rows or None, estimates or None), one of them given.
    Raises:
        UserError: neither an evaluation, nor a model, nor a folder of wavs.
    """
    path = Path(path)
    if not path.is_dir():
        return None, ModelEstimates(path, **options)
    if (path / JSON_NAME).exists() and (path / CSV_NAME).exists():
        return read_results(path)[0], None
    if any(path.glob("*_s1.wav")):
        return None, FileEstimates(path)
    raise UserError(f"--compare_with {path}: holds neither {JSON_NAME} and {CSV_NAME} of eval.py nor <id>_s1.wav ...")


def same_utterances(ids, other_rows, path):
    """Refuse, before any work, another evaluation that was not of the utterances ``ids``.

    Utterances that were not scored (silent sources) may be missing from it.
    """
    there = {row["id"] for row in other_rows}
    strangers = sorted(there - set(ids))
    if strangers:
        raise UserError(f"--compare_with {path}: not the same utterances: {len(strangers)} of its {len(there)} are not "
                        f"among those scored here ({first_names(strangers, 3)})")


def compare(rows, other_rows, metrics, path):
    """The metrics that both have, utterance by utterance.

    Args:
        rows, other_rows (list[dict]): as of :func:`src.evaluation.scoring.score`.
        path: of the other, for messages.
    Returns:
        tuple: ({metric: Difference} over the utterances on which both have a score, the other rows in the order of
        ``rows``).
    Raises:
        UserError: they are not the same utterances.
    """
    others = {row["id"]: row for row in other_rows}
    alone = [sorted({row["id"] for row in rows} - set(others)), sorted(set(others) - {row["id"] for row in rows})]
    if any(alone):
        parts = [f"{len(names)} only {where} ({first_names(names, 3)})"
                 for names, where in zip(alone, ("here", "there")) if names]
        raise UserError(f"--compare_with {path}: not the same utterances: {', '.join(parts)}")
    ordered = [others[row["id"]] for row in rows]
    changed = [row["id"] for row, other in zip(rows, ordered)
               if abs(row["si_snr_in"] - other["si_snr_in"]) > SAME_DB
               or abs(row["seconds"] - other["seconds"]) > SAME_SECONDS]
    if changed:
        raise UserError(f"--compare_with {path}: not the same utterances: {len(changed)} have another mixture or other "
                        f"sources under the same name ({first_names(changed, 3)})")
    both = [name for name in metrics if all(name in row for row in ordered)]
    return {name: _difference(rows, ordered, name) for name in both}, ordered


def gaps(rows, other_rows, column):
    """One's value minus the other's, for each utterance: float [N], NaN where one of them has none."""
    found = np.array([row[column] - other[column] for row, other in zip(rows, other_rows)])
    return np.where(np.abs(found) < SAME_SCORE, 0.0, found)


def _difference(rows, other_rows, column):
    found = gaps(rows, other_rows, column)
    mine, theirs = (np.where(np.isnan(found), np.nan, [row[column] for row in one]) for one in (rows, other_rows))
    counts = [int((found > 0).sum()), int((found < 0).sum()), int((found == 0).sum())]
    found = confidence.mean(found)
    return Difference(confidence.mean(mine), confidence.mean(theirs), found, *counts,
                      found.half is not None and abs(found.value) > found.half)


def as_json(differences, path):
    """For metrics.json."""
    return {"with": str(path),
            "metrics": {name: {"this": d.this.value, "other": d.other.value, "difference": d.difference.value,
                               "ci95": confidence.interval(d.difference), "this_ci95": confidence.interval(d.this),
                               "other_ci95": confidence.interval(d.other), "wins": d.wins, "losses": d.losses,
                               "ties": d.ties} for name, d in differences.items()}}


def lines(metrics):
    """A comparison in metrics.json for the terminal: a line for each metric."""
    found = metrics.get("comparison")
    if found:
        yield f"against {found['with']}:"
        for name, row in found["metrics"].items():
            gap, digits = row["difference"], METRICS[name].digits
            if gap is None:
                yield f"  {METRICS[name].label}: no utterance on which both have a score"
                continue
            half = "" if row["ci95"] is None else f" ± {(row['ci95'][1] - row['ci95'][0]) / 2:.{digits}f}"
            yield (f"  {METRICS[name].label}: {row['this']:.{digits}f} against {row['other']:.{digits}f}, "
                   f"difference {gap:+.{digits}f}{half}; "
                   f"better on {row['wins']}, worse on {row['losses']}, equal on {row['ties']}")

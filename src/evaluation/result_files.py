"""What an evaluation leaves behind: metrics.json, per_utterance.csv, and lines for the terminal."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from src.core.errors import UserError, disk_errors
from src.core.files import write
from src.core.names import json_text
from src.evaluation import confidence
from src.evaluation.speech_metrics import METRICS, PESQ_NAMES

CSV_NAME, JSON_NAME = "per_utterance.csv", "metrics.json"


def summary(scored, metrics, tables, facts):
    """The content of metrics.json.

    Means and their intervals are over utterances; a metric has NAME_in (mixture), NAME (estimates) and NAMEi
    (improvement), None where no utterance has a score.
    """
    names = [column for name in metrics for column in (f"{name}_in", name, f"{name}i")]
    means = {name: confidence.mean([row[name] for row in scored.rows]) for name in names}
    return {**{name: found.value for name, found in means.items()},
            "ci95": {name: confidence.interval(found) for name, found in means.items()},
            "utterances": len(scored.rows), "seconds": sum(row["seconds"] for row in scored.rows),
            "skipped": {reason: len(ids) for reason, ids in scored.skipped.items()},
            "metrics": list(metrics),
            "scored": {name: means[name].count for name in metrics},
            "failures": {name: {reason: len(ids) for reason, ids in found.items()}
                         for name, found in scored.failures.items() if found},
            "groups": [{"by": table.by, "rows": {group: _group(found) for group, found in table.rows.items()}}
                       for table in tables],
            **facts}


def _group(found):
    return {"utterances": found["si_snr"].count, **{name: value.value for name, value in found.items()},
            "ci95": {name: confidence.interval(value) for name, value in found.items()}}


def label(name, metrics):
    """A metric's name with its unit or kind, as in "SI-SNR, dB"."""
    metric = METRICS[name]
    if name == "pesq":
        return f"{metric.label} ({PESQ_NAMES[metrics['pesq_mode']]})"
    return f"{metric.label}, {metric.unit}" if metric.unit else metric.label


def lines(metrics):
    """The summary for the terminal: a table with the half-width of each 95 % interval."""
    width = max(len(label(name, metrics)) for name in metrics["metrics"])
    yield f"{'mean and 95 % interval':{width}}  {'mixture':>15}  {'estimate':>15}  {'improvement':>15}"
    for name in metrics["metrics"]:
        cells = (confidence.words(from_json(metrics, column), METRICS[name].digits)
                 for column in (f"{name}_in", name, f"{name}i"))
        yield f"{label(name, metrics):{width}}  " + "  ".join(f"{cell:>15}" for cell in cells)


def from_json(metrics, column):
    """A mean of metrics.json as :class:`src.evaluation.confidence.Mean`."""
    value, interval = metrics[column], metrics["ci95"][column]
    return confidence.Mean(value, None if interval is None else (interval[1] - interval[0]) / 2, None)


def write_file(path, text):
    """Write text; see :func:`src.core.files.write`.

    Raises:
        UserError: the disk refuses.
    """
    with disk_errors(path):
        write(path, text)


def write_results(out_dir, rows, metrics):
    """metrics.json and per_utterance.csv, each under a temporary name and then renamed."""
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0])
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    write_file(Path(out_dir) / CSV_NAME, table.getvalue())
    write_file(Path(out_dir) / JSON_NAME, json_text(metrics, indent=1, allow_nan=False))


def _cell(value):
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.4f}"


def read_results(folder):
    """An evaluation that was written before.

    Returns:
        tuple: (rows as of :func:`src.evaluation.scoring.score`, the content of metrics.json).
    Raises:
        UserError: missing, or not of eval.py.
    """
    folder = Path(folder)
    try:
        metrics = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
        with open(folder / CSV_NAME, newline="", encoding="utf-8") as file:
            rows = [{name: value if name == "id" else float(value or "nan") for name, value in row.items()}
                    for row in csv.DictReader(file)]
        metrics["si_snri"], rows[0]["id"], [(row["si_snri"], row["seconds"]) for row in rows]
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise UserError(f"{folder}: {JSON_NAME} and {CSV_NAME} in it are not those of eval.py") from None
    return rows, metrics

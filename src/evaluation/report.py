"""report.html: one page with the results of an evaluation, complete in itself.

Everything is inside the file (pictures, sounds, style, script), and its content security policy forbids it to fetch
anything. The template escapes every text that it is given, so names from files are shown, never obeyed.
"""

import datetime
from pathlib import Path

import jinja2
import numpy as np

from src import __version__
from src.evaluation import confidence
from src.evaluation.comparison import gaps
from src.evaluation.report_charts import histogram, intervals, number, scatter
from src.evaluation.report_examples import HIGHEST_RATE, SECONDS, examples
from src.evaluation.result_files import label, write_file
from src.evaluation.speech_metrics import METRICS

TEMPLATE = Path(__file__).with_name("report_template.html")
CHART_GROUPS = 24  # groups in a chart, the lowest and the highest where there are more
TABLE_GROUPS = 200  # rows in a table of groups; metrics.json has them all


def write_report(path, systems, results, tables, data, differences, other_rows, count):
    """Write the page under a temporary name, then rename it.

    Args:
        path: of the page.
        systems (list): the model, and the one it is compared with if that was scored too, each as (estimates,
            :class:`src.evaluation.scoring.Scored`).
        results (dict): of :func:`src.evaluation.result_files.summary`.
        tables (list[src.evaluation.groups.Table]): results by group.
        data (src.evaluation.scored_data.Data): what was scored.
        differences (dict), other_rows (list): of :func:`compare`; empty and None without a comparison.
        count (int): examples of the worst and of the best.
    """
    scored = systems[0][1]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    environment.filters |= {"number": number, "mean": _mean, "signed": _signed}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    view = {
        "name": results.get("model_path") or results["estimates_dir"], "results": results, "version": __version__,
        "made": datetime.date.today().isoformat(), "headline": _headline(scored.rows),
        "metrics": [_metric(name, scored, results) for name in results["metrics"]],
        "charts": _charts(scored.rows, results), "groups": [_group_view(table, results) for table in tables],
        "comparison": _comparison(scored.rows, other_rows, differences, results),
        "examples": list(examples(systems, data, other_rows, count)),
        "clip_seconds": SECONDS, "clip_rate": HIGHEST_RATE if data.sample_rate > HIGHEST_RATE else None,
        "unscored": _unscored(scored, results),
    }
    write_file(path, template.render(view))


def _mean(found, digits):
    return "no score" if found.value is None else confidence.words(found, digits).replace("-", "\u2212")


def _signed(value, digits):
    return ("+" if round(value, digits) > 0 else "") + number(value, digits)


def _headline(rows):
    gains = np.array([row["si_snri"] for row in rows])
    return {"mean": confidence.mean(gains), "better": int((gains > 0).sum()), "count": len(gains),
            "median": float(np.median(gains)), "low": float(np.percentile(gains, 10))}


def _metric(name, scored, results):
    """A line of the table of results."""
    means = [confidence.mean([row[column] for row in scored.rows]) for column in (f"{name}_in", name, f"{name}i")]
    return {"label": label(name, results), "digits": METRICS[name].digits, "meaning": METRICS[name].meaning,
            "means": means, "count": means[0].count}


def _values(rows, column):
    values = np.array([row[column] for row in rows])
    return values[~np.isnan(values)]


def _charts(rows, results):
    voices = [(f"{row['id']}, voice {c + 1}", row[f"si_snr_s{c + 1}"] - row[f"si_snri_s{c + 1}"],
               row[f"si_snr_s{c + 1}"]) for row in rows for c in range(results["num_spks"])]
    names, before, after = zip(*voices)
    gain = "SI-SNR improvement, dB"
    charts = [("How much each utterance improved",
               histogram(_values(rows, "si_snri"), gain, confidence.mean(_values(rows, "si_snri")))),
              ("Each voice before and after", scatter(before, after, names, "SI-SNR in the mixture, dB",
                                                      "SI-SNR after separation, dB",
                                                      "above the line: better than the mixture"))]
    for name in results["metrics"][1:]:
        values = _values(rows, f"{name}i")
        if values.size:
            metric = METRICS[name]
            text = f"{metric.label} improvement" + (f", {metric.unit}" if metric.unit else "")
            charts.append((text.partition(",")[0], histogram(values, text, confidence.mean(values), metric.digits)))
    return charts


def _group_view(table, results):
    rows = sorted(table.rows.items(), key=lambda item: item[1]["si_snri"].value)
    shown = rows if len(rows) <= CHART_GROUPS else rows[: CHART_GROUPS // 2] + rows[-CHART_GROUPS // 2 :]
    return {"by": table.by, "total": len(rows), "charted": len(shown), "rows": rows[:TABLE_GROUPS],
            "chart": intervals([(name, found["si_snri"]) for name, found in shown], "SI-SNR improvement, dB"),
            "columns": [(f"{name}i", METRICS[name].label, METRICS[name].digits)
                        for name in results["metrics"]]}


def _comparison(rows, other_rows, differences, results):
    if not differences:
        return None
    theirs = np.array([row["si_snr"] for row in other_rows])
    gap = gaps(rows, other_rows, "si_snr")
    return {"other": results["comparison"]["with"],
            "rows": [(label(name, results), METRICS[name].digits, found) for name, found in differences.items()],
            "main": differences["si_snr"], "count": len(rows),
            "scatter": scatter(theirs, theirs + gap, [row["id"] for row in rows], "SI-SNR of the other, dB",
                               "SI-SNR of this model, dB", "above the line: this model is better"),
            "histogram": histogram(gap, "SI-SNR, this model minus the other, dB",
                                   differences["si_snr"].difference)}


def _unscored(scored, results):
    """Everything that has no score: (how many, of what, why, a few names)."""
    found = [(len(names), "utterances not scored at all", reason, names[:5])
             for reason, names in scored.skipped.items()]
    found += [(len(names), f"utterances without {METRICS[name].label}", reason, names[:5])
              for name, reasons in scored.failures.items() for reason, names in reasons.items()]
    return found

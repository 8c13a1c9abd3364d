"""An evaluation from options to files: score, compare, write results and the report."""

from pathlib import Path

from src.core.errors import UserError, first_names
from src.evaluation.comparison import as_json, compare, open_other, same_utterances
from src.evaluation.estimates import FileEstimates, ModelEstimates
from src.evaluation.groups import Metadata, tables
from src.evaluation.result_files import summary, write_results
from src.evaluation.scored_data import open_data
from src.evaluation.scoring import score
from src.evaluation.speech_metrics import METRICS, chosen_metrics, pesq_mode

REPORT_NAME = "report.html"
OTHER_FOLDER = "compared_with"  # below out_dir: the results of the model of --compare_with


def evaluate(config):
    """Score ``config.model_path``, or the files in ``config.estimates_dir``, on ``config.data_dir``.

    Writes metrics.json, per_utterance.csv and report.html.

    Returns:
        dict: what metrics.json holds, and ``out_dir``.
    Raises:
        UserError: a model or data that cannot be used, or nothing to score.
    """
    metrics = chosen_metrics(config)
    if config.group_by and not config.groups:
        raise UserError("--group_by: give --groups, the CSV that has these columns")
    options = dict(runtime=config.runtime, device_target=config.device_target, device_id=config.device_id)
    if config.model_path:
        estimate = ModelEstimates(config.model_path, **options)
    else:
        estimate = FileEstimates(config.estimates_dir)
    other_rows, other = open_other(config.compare_with, **options) if config.compare_with else (None, None)
    data = open_data(config.data_dir, estimate.sample_rate, estimate.num_spks, config.task)
    facts = {"pesq_mode": pesq_mode(data.sample_rate)[0]} if "pesq" in metrics else {}
    metadata = Metadata(config.groups, config.group_by, data.num_spks) if config.groups else None
    for one in filter(None, (estimate, other)):
        _fit(one, data)
    if other_rows is not None:
        same_utterances(data.ids[: config.max_utterances or None], other_rows, config.compare_with)
    facts |= {"data_dir": str(config.data_dir), "mixture": data.mixture, "sample_rate": data.sample_rate,
              "num_spks": data.num_spks}
    out_dir = Path(config.out_dir) if config.out_dir else Path(estimate.name).parent / "eval"

    scored = _score(estimate, data, metrics, config, "scoring")
    groups = tables(scored.rows, metrics, data.num_spks, metadata)
    results = summary(scored, metrics, groups, facts | _made_by(estimate))
    write_results(out_dir, scored.rows, results)
    systems, differences = [(estimate, scored)], {}
    if config.compare_with:
        if other is not None:
            found = _score(other, data, metrics, config, "scoring the other")
            write_results(out_dir / OTHER_FOLDER, found.rows,
                          summary(found, metrics, tables(found.rows, metrics, data.num_spks, metadata),
                                  facts | _made_by(other)))
            systems.append((other, found))
            other_rows = found.rows
        differences, other_rows = compare(scored.rows, other_rows, metrics, config.compare_with)
        results["comparison"] = as_json(differences, config.compare_with)
        write_results(out_dir, scored.rows, results)
    if config.report:
        from src.evaluation.report import write_report

        write_report(out_dir / REPORT_NAME, systems, results, groups, data, differences, other_rows, config.examples)
    else:
        (out_dir / REPORT_NAME).unlink(missing_ok=True)  # of other results than those beside it
    return results | {"out_dir": str(out_dir)}


def _fit(estimate, data):
    """Tell files what they have to be; refuse a second model that does not fit the data."""
    for name in ("sample_rate", "num_spks"):
        wanted = getattr(estimate, name)
        if wanted not in (None, getattr(data, name)):
            raise UserError(f"{estimate.name}: has {name} {wanted}, the data {getattr(data, name)}")
    estimate.sample_rate, estimate.num_spks = data.sample_rate, data.num_spks


def _made_by(estimate):
    if isinstance(estimate, ModelEstimates):
        return {"model_path": estimate.name, "runtime": estimate.runtime}
    return {"estimates_dir": estimate.name}


def _score(estimate, data, metrics, config, label):
    """:func:`src.evaluation.scoring.score`, with a line for everything that has no score."""
    batch_size = config.batch_size if isinstance(estimate, ModelEstimates) else 1
    scored = score(estimate, data, metrics, batch_size, config.max_utterances, config.num_workers, label)
    for reason, names in data.skipped.items():
        scored.skipped[reason] += names
    for reason, names in scored.skipped.items():
        print(f"not scored: {len(names)}, {reason}: {first_names(names)}")
    for name, reasons in scored.failures.items():
        for reason, ids in reasons.items():
            count = f"{len(ids)} of {len(scored.rows)} utterances"
            print(f"no {METRICS[name].label}: {count}, {reason}: {first_names(ids)}")
    if not scored.rows:
        why = ", ".join(f"{len(names)} {reason}" for reason, names in scored.skipped.items())
        raise UserError(f"{config.data_dir}: no utterance could be scored ({why})")
    return scored


"""Scores estimates of whole utterances: SI-SNR, its improvement over the mixture, and SDR on request."""

import csv
import json
import os
import sys
from collections import defaultdict, namedtuple
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.audio import AudioError, from_pcm16, probe
from src.corpus import Skip, load, pair, subset_tree
from src.dataset import Records, Utterance, utterances
from src.errors import UserError, first_names
from src.estimates import FileEstimates, ModelEstimates
from src.manifest import NAME as MANIFEST_NAME
from src.metrics import Scorer, sdr

# lengths in samples; batches: function from groups of rows to lists of Utterance; skipped: {reason: [name]}
Data = namedtuple("Data", "lengths batches skipped sample_rate num_spks")

PROGRESS_EVERY = 100  # utterances, when no terminal shows a bar


def evaluate(config):
    """Score ``config.model_path``, or the files in ``config.estimates_dir``, on ``config.data_dir``.

    Writes metrics.json and per_utterance.csv.

    Returns:
        dict: what metrics.json holds.
    Raises:
        UserError: a model or data that cannot be used, or nothing to score.
    """
    estimate = ModelEstimates(config.model_path) if config.model_path else FileEstimates(config.estimates_dir)
    data = open_data(config.data_dir, estimate.sample_rate, estimate.num_spks)
    estimate.sample_rate, estimate.num_spks = data.sample_rate, data.num_spks
    order = group_by_length(data.lengths, config.batch_size if config.model_path else 1,
                            config.max_utterances or len(data.lengths))
    scorer = Scorer(data.num_spks)
    rows, skipped = [], defaultdict(list, data.skipped)
    show, done = sys.stderr.isatty(), 0
    with tqdm(total=sum(map(len, order)), unit="utt", desc="scoring", disable=not show) as bar:
        for items in data.batches(order):
            try:
                estimates = estimate(items)
            except Skip as skip:
                skipped[skip.reason].append(str(skip))
            else:
                scores = scorer(np.stack([item.mixture for item in items]),
                                np.stack([item.sources for item in items]), estimates)
                for i, item in enumerate(items):
                    row = one_row(item, {k: v[i] for k, v in scores.items()}, estimates[i], config, data.sample_rate)
                    if np.isnan(row["si_snri"]):
                        skipped["silent source"].append(item.id)
                    else:
                        rows.append(row)
            bar.update(len(items))
            done += len(items)
            if not show and done % PROGRESS_EVERY < len(items):
                print(f"{done} of {bar.total} utterances", flush=True)
    for reason, names in skipped.items():
        print(f"not scored: {len(names)}, {reason}: {first_names(names)}")
    if not rows:
        why = ", ".join(f"{len(names)} {reason}" for reason, names in skipped.items())
        raise UserError(f"{config.data_dir}: no utterance could be scored ({why})")
    out_dir = Path(config.out_dir) if config.out_dir else Path(estimate.name).parent / "eval"
    facts = {"model_path" if config.model_path else "estimates_dir": estimate.name,
             "sample_rate": data.sample_rate, "num_spks": data.num_spks}
    return write_results(out_dir, rows, skipped, config, facts)


def open_data(data_dir, sample_rate=None, num_spks=None):
    """The utterances of a record folder or a wav tree as :class:`Data`.

    Args:
        sample_rate (int), num_spks (int): what they must be; None takes the data's own.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        raise UserError(f"--data_dir {folder}: no such folder")
    if (folder / MANIFEST_NAME).exists():
        records = Records(folder, sample_rate, num_spks)
        lengths = [int(row["length"]) for row in records.read(range(records.rows), ("length",))]

        def batches(order):
            items = utterances(records, [i for group in order for i in group])
            for group in order:
                yield [next(items) for _ in group]

        return Data(lengths, batches, {}, records.manifest.sample_rate, records.num_spks)
    tree = subset_tree(folder)
    if tree is None:
        raise UserError(f"--data_dir {folder}: neither a record folder (manifest.json) nor a wav tree "
                        "(mix_clean or mix, with s1 s2 ...)")
    if num_spks not in (None, len(tree.source_dirs)):
        raise UserError(f"--data_dir {folder}: has {len(tree.source_dirs)} source folders, the model separates "
                        f"{num_spks} speakers")
    mixtures, skipped = pair(tree)
    skipped = defaultdict(list, skipped)
    rate, good, lengths = sample_rate, [], []
    for mixture in mixtures:
        try:
            rate = rate or probe(mixture.mixture_path).sample_rate
            load(mixture, rate)
        except (Skip, AudioError) as skip:
            skipped[skip.reason].append(str(skip))
            continue
        good.append(mixture)
        lengths.append(probe(mixture.mixture_path).frames)
    if not good:
        why = ", ".join(f"{len(names)} {reason}" for reason, names in skipped.items())
        at = f" at {rate} Hz" if rate else ""
        raise UserError(f"--data_dir {folder}: not one usable mixture{at} ({why or 'no audio files'})")

    def batches(order):
        for group in order:
            yield [_utterance(good[i], rate) for i in group]

    return Data(lengths, batches, dict(skipped), rate, len(tree.source_dirs))


def _utterance(mixture, rate):
    signal, sources = load(mixture, rate)
    return Utterance(mixture.id, from_pcm16(signal), from_pcm16(sources))


def group_by_length(lengths, batch_size, limit):
    """Rows in groups of at most ``batch_size`` with exactly the same length, in order of first appearance.

    Padding to a common length would change what the norms see, and with it the scores.
    """
    waiting, groups = {}, []
    for i, length in enumerate(lengths[:limit]):
        group = waiting.get(length)
        if group is None or len(group) == batch_size:
            group = waiting[length] = []
            groups.append(group)
        group.append(i)
    return groups


def one_row(item, scores, estimates, config, sample_rate):
    """One line of per_utterance.csv."""
    row = {"id": item.id, "seconds": item.mixture.size / sample_rate}
    row |= {name: float(np.mean(scores[name])) for name in ("si_snr_in", "si_snr", "si_snri")}
    if config.cal_sdr:
        row |= {"sdr": np.nan, "sdri": np.nan}
        if not np.isnan(row["si_snri"]):
            ordered = estimates[scores["assignment"]]
            if (ordered == 0).all(-1).any():  # mir_eval has no score for a silent estimate
                raise UserError(f"{config.model_path or config.estimates_dir}: a silent estimate for {item.id}: "
                                "SDR is not defined")
            after = sdr(item.sources, ordered)
            before = sdr(item.sources, np.broadcast_to(item.mixture, item.sources.shape))
            row |= {"sdr": float(after.mean()), "sdri": float((after - before).mean())}
    for c in range(len(item.sources)):
        row |= {f"si_snr_s{c + 1}": float(scores["si_snr"][c]), f"si_snri_s{c + 1}": float(scores["si_snri"][c])}
    return row


def write_results(out_dir, rows, skipped, config, facts):
    """metrics.json (with ``facts`` in it) and per_utterance.csv, each under a temporary name and then renamed."""
    names = [name for name in ("si_snr_in", "si_snr", "si_snri", "sdr", "sdri") if name in rows[0]]
    metrics = {name: float(np.mean([row[name] for row in rows])) for name in names}
    metrics |= {"utterances": len(rows), "seconds": sum(row["seconds"] for row in rows),
                "skipped": {reason: len(names) for reason, names in skipped.items()},
                "data_dir": str(config.data_dir), **facts}
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for name, write in (("per_utterance.csv", lambda file: _write_csv(file, rows)),
                            ("metrics.json", lambda file: json.dump(metrics, file, indent=1))):
            temporary = out_dir / f".{name}.tmp"
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                write(file)
            os.replace(temporary, out_dir / name)
    except OSError as error:
        raise UserError(f"--out_dir {out_dir}: {error.strerror or error}") from None
    return metrics


def _write_csv(file, rows):
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})

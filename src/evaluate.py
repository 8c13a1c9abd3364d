"""Scores a model on whole utterances: SI-SNR, its improvement over the mixture, and SDR on request."""

import csv
import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.audio import from_pcm16, probe
from src.corpus import Skip, load, pair, subset_tree
from src.dataset import Records, Utterance, utterances
from src.errors import UserError
from src.inference import open_model
from src.manifest import NAME as MANIFEST_NAME
from src.metrics import Scorer, sdr

PROGRESS_EVERY = 100  # utterances, when no terminal shows a bar


def evaluate(config):
    """Score ``config.model_path`` on ``config.data_dir`` and write metrics.json and per_utterance.csv.

    Returns:
        dict: what metrics.json holds.
    Raises:
        UserError: a model or data that cannot be used, or nothing to score.
    """
    model = open_model(config.model_path)
    count, lengths, batches, skipped = open_data(config.data_dir, model.config)
    order = group_by_length(lengths, config.batch_size, config.max_utterances or count)
    scorer = Scorer(model.config.num_spks)
    rows, silent = [], []
    show = sys.stderr.isatty()
    with tqdm(total=sum(map(len, order)), unit="utt", desc="scoring", disable=not show) as bar:
        for items in batches(order):
            mixture = np.stack([item.mixture for item in items])
            sources = np.stack([item.sources for item in items])
            estimates = model(mixture)
            if not np.isfinite(estimates).all():
                raise UserError(f"{config.model_path}: gives NaN or infinite samples for {items[0].id}")
            scores = scorer(mixture, sources, estimates)
            for i, item in enumerate(items):
                row = one_row(item, {k: v[i] for k, v in scores.items()}, estimates[i], config, model.config)
                (silent if np.isnan(row["si_snri"]) else rows).append(row)
            bar.update(len(items))
            done = len(rows) + len(silent)
            if not show and done % PROGRESS_EVERY < len(items):
                print(f"{done} of {bar.total} utterances", flush=True)
    if not rows:
        raise UserError(f"{config.data_dir}: no utterance could be scored ({len(silent)} have a silent source)")
    if silent:
        skipped = skipped | {"silent source": [row["id"] for row in silent]}
    out_dir = Path(config.out_dir) if config.out_dir else Path(config.model_path).parent / "eval"
    return write_results(out_dir, rows, skipped, config, model.config)


def open_data(data_dir, model_config):
    """Utterances of a record folder or a wav tree.

    Returns:
        tuple: (count, lengths int [count], function from row groups to lists of :class:`Utterance`, skipped).
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        raise UserError(f"--data_dir {folder}: no such folder")
    rate, speakers = model_config.sample_rate, model_config.num_spks
    if (folder / MANIFEST_NAME).exists():
        records = Records(folder, rate, speakers)
        lengths = [int(row["length"]) for row in records.read(range(records.rows), ("length",))]

        def batches(order):
            items = utterances(records, [i for group in order for i in group])
            for group in order:
                yield [next(items) for _ in group]

        return records.rows, lengths, batches, {}
    tree = subset_tree(folder)
    if tree is None:
        raise UserError(f"--data_dir {folder}: neither a record folder (manifest.json) nor a wav tree "
                        "(mix_clean or mix, with s1 s2 ...)")
    if len(tree.source_dirs) != speakers:
        raise UserError(f"--data_dir {folder}: has {len(tree.source_dirs)} source folders, the model separates "
                        f"{speakers} speakers")
    mixtures, skipped = pair(tree)
    skipped = defaultdict(list, skipped)
    good, lengths = [], []
    for mixture in mixtures:
        try:
            load(mixture, rate)
        except Skip as skip:
            skipped[skip.reason].append(str(skip))
            continue
        good.append(mixture)
        lengths.append(probe(mixture.mixture_path).frames)
    for reason, names in skipped.items():
        print(f"skipped {len(names)}, {reason}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    if not good:
        raise UserError(f"--data_dir {folder}: not one usable mixture at {rate} Hz")

    def batches(order):
        for group in order:
            yield [_utterance(good[i], rate) for i in group]

    return len(good), lengths, batches, dict(skipped)


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


def one_row(item, scores, estimates, config, model_config):
    """One line of per_utterance.csv."""
    row = {"id": item.id, "seconds": item.mixture.size / model_config.sample_rate}
    row |= {name: float(np.mean(scores[name])) for name in ("si_snr_in", "si_snr", "si_snri")}
    if config.cal_sdr:
        row |= {"sdr": np.nan, "sdri": np.nan}
        if not np.isnan(row["si_snri"]):
            ordered = estimates[scores["assignment"]]
            if (ordered == 0).all(-1).any():  # mir_eval has no score for a silent estimate
                raise UserError(f"{config.model_path}: gives a silent estimate for {item.id}: SDR is not defined")
            after = sdr(item.sources, ordered)
            before = sdr(item.sources, np.broadcast_to(item.mixture, item.sources.shape))
            row |= {"sdr": float(after.mean()), "sdri": float((after - before).mean())}
    for c in range(len(item.sources)):
        row |= {f"si_snr_s{c + 1}": float(scores["si_snr"][c]), f"si_snri_s{c + 1}": float(scores["si_snri"][c])}
    return row


def write_results(out_dir, rows, skipped, config, model_config):
    """metrics.json and per_utterance.csv, each under a temporary name and then renamed."""
    names = [name for name in ("si_snr_in", "si_snr", "si_snri", "sdr", "sdri") if name in rows[0]]
    metrics = {name: float(np.mean([row[name] for row in rows])) for name in names}
    metrics |= {"utterances": len(rows), "seconds": sum(row["seconds"] for row in rows),
                "skipped": {reason: len(names) for reason, names in skipped.items()},
                "model_path": str(config.model_path), "data_dir": str(config.data_dir),
                "sample_rate": model_config.sample_rate, "num_spks": model_config.num_spks}
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

"""What is known of the model: what it is, how well it separates, how fast it is here."""

import contextlib
import os
import platform
from pathlib import Path

import numpy as np

from src.core.errors import UserError
from src.evaluation.result_files import read_results

CARDS = ("{stem}.md", "MODEL_CARD.md", "README.md")  # beside the model
EVALUATIONS = ("{stem}_eval", "eval")


def model_view(separator):
    """The model for /v1/models."""
    return {"name": Path(separator.name).name, "runtime": separator.runtime, "sample_rate": separator.sample_rate,
            "num_spks": separator.num_spks,
            "config": vars(separator.config)}


def performance_view(separator, eval_dir, speed):
    """For the performance page: model card, distribution of the evaluation, speed of this machine.

    Args:
        eval_dir (str): output of eval.py; empty: <model>_eval/ or eval/ beside the model.
        speed (float): seconds of work for a second of audio, or None.
    """
    path = Path(separator.name)
    return {"model": model_view(separator), "card": _card(path),
            "evaluation": _evaluation(*([eval_dir] if eval_dir else _beside(path, EVALUATIONS))),
            "machine": {"real_time_factor": speed, "cores": len(os.sched_getaffinity(0)), "processor": _processor(),
                        "system": f"{platform.system()} {platform.machine()}"}}


def _beside(path, names):
    return [path.with_name(name.format(stem=path.stem)) for name in names]


def _card(path):
    found = [card for card in _beside(path, CARDS) if card.is_file()] if path.is_file() else []
    return found[0].read_text(encoding="utf-8", errors="replace")[:100_000] if found else None


def _evaluation(*folders):
    """Of the first folder that holds one, or None."""
    for folder in folders:
        with contextlib.suppress(UserError):
            rows, metrics = read_results(folder)
            break
    else:
        return None
    gains = np.array([row["si_snri"] for row in rows])
    gains = gains[np.isfinite(gains)]
    if not gains.size:
        return None
    counts, edges = np.histogram(gains, bins=min(20, max(5, gains.size // 4)))
    return {"utterances": int(gains.size), "data": str(Path(str(metrics.get("data_dir", ""))).name),
            "mean": float(gains.mean()), "median": float(np.median(gains)), "improved": int((gains > 0).sum()),
            "ci95": metrics.get("ci95", {}).get("si_snri"), "counts": counts.tolist(), "edges": edges.tolist()}


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return platform.processor()

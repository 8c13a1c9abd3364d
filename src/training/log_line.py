"""The columns of train_log.csv, and what a row of it says in words."""

import resource

from src.core.progress import duration

LOG_FIELDS = ("step", "epoch", "train_loss", "valid_loss", "valid_score", "lr", "grad_norm", "step_seconds",
              "skipped_steps", "minutes", "audio_per_second", "peak_gb")


def peak_gb():
    """Most memory this process has held so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


def log_line(label, row, score, seconds_left=None):
    """A line of text from a row of train_log.csv ({field: value or None}).

    Args:
        label (str): where in the epochs.
        score (src.tasks.registry.Score): what ``valid_score`` is.
        seconds_left (float): to the end of the training; None: unknown yet.
    """
    words = [f"{label}, step {row['step']}"]
    if row["train_loss"] is not None:
        words += [f"loss {row['train_loss']:.3f}", f"grad norm {row['grad_norm']:.2f}",
                  f"{row['step_seconds']:.2f} s/step", f"{row['audio_per_second']:.1f} s of audio/s"]
    if row["valid_loss"] is not None:
        words += [f"validation loss {row['valid_loss']:.3f}", score.text(row["valid_score"])]
    words += [f"{row['peak_gb']:.1f} GB", f"{row['minutes']:.1f} min"]
    if seconds_left is not None:
        words.append(f"{duration(seconds_left)} left")
    return ", ".join(words)

"""Pictures: spectrograms of signals side by side, and the curve of a training run."""

import csv

import matplotlib
import numpy as np

from src.core.files import replacing

WINDOW_SECONDS = 0.032
FLOOR_DB = -60  # below the loudest point of the picture
SILENCE = 1e-9  # of full scale, instead of 0 in a logarithm


def _figure(*args, **kwargs):
    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    return pyplot, *pyplot.subplots(*args, **kwargs)


def _save(pyplot, figure, path):
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=110)
    finally:
        pyplot.close(figure)


def log_spectrogram(samples, sample_rate):
    """Magnitudes in dB of samples [T]: float [window / 2 + 1, frames], and the seconds from a frame to the next."""
    from scipy.signal import stft  # slow to import, and the curve of a run does not need it

    window = 2 ** round(np.log2(WINDOW_SECONDS * sample_rate))
    hop = window // 4
    samples = np.pad(np.asarray(samples, np.float32), (0, max(window - len(samples), 0)))
    magnitudes = np.abs(stft(samples, nperseg=window, noverlap=window - hop)[2])
    return 20 * np.log10(np.maximum(magnitudes, SILENCE)), hop / sample_rate


def spectrograms(path, columns, sample_rate):
    """Write a PNG of log spectrograms.

    Args:
        columns (list[list[tuple]]): columns of (title, samples float [T]); all share one colour scale.
        sample_rate (int): Hz.
    """
    decibels = [[(title, *log_spectrogram(x, sample_rate)) for title, x in column] for column in columns]
    top = max(d.max() for column in decibels for _, d, _ in column)
    height = max(len(column) for column in columns)
    pyplot, figure, axes = _figure(height, len(columns), figsize=(4.6 * len(columns), 2.4 * height), squeeze=False,
                                   layout="constrained")
    for x, column in enumerate(decibels):
        for y in range(height):
            axis = axes[y, x]
            if y >= len(column):
                axis.axis("off")
                continue
            title, d, step = column[y]
            seconds = d.shape[1] * step
            axis.imshow(d, origin="lower", aspect="auto", cmap="magma", vmin=top + FLOOR_DB, vmax=top,
                        extent=(0, seconds, 0, sample_rate / 2000))
            axis.set_title(title, fontsize=10)
            axis.set_ylabel("kHz")
        axes[len(column) - 1, x].set_xlabel("seconds")
    _save(pyplot, figure, path)


def training_curve(path, log_path):
    """Write a PNG of a train_log.csv: loss and, on the right axis, validation SI-SNRi, over steps."""
    with open(log_path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def series(name):
        points = [(int(r["step"]), float(r[name])) for r in rows if r[name]]
        return zip(*points) if points else ((), ())

    pyplot, figure, axis = _figure(figsize=(8, 4.5), layout="constrained")
    axis.plot(*series("train_loss"), color="tab:gray", label="training loss (-SI-SNR of crops)")
    axis.plot(*series("valid_loss"), "o-", color="tab:blue", label="validation loss (-SI-SNR)")
    axis.set_xlabel("step")
    axis.set_ylabel("dB")
    right = axis.twinx()
    right.plot(*series("valid_score"), "s-", color="tab:orange", label="validation SI-SNRi")
    right.set_ylabel("SI-SNRi, dB")
    lines = axis.get_lines() + right.get_lines()
    figure.legend(lines, [line.get_label() for line in lines], fontsize=9, loc="outside upper center", ncols=3)
    axis.grid(alpha=0.3)
    _save(pyplot, figure, path)

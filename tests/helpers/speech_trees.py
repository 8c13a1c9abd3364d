"""LibriSpeech- and WHAM-shaped trees of made signals, and metadata for them."""

import csv
from pathlib import Path

import numpy as np

from tests.helpers.corpus_trees import voice, write_audio

RATE = 16000


def metadata_header(speakers, noise=True):
    """The columns of LibriMix metadata."""
    columns = ["mixture_ID"] + [f"source_{n + 1}_{what}" for n in range(speakers) for what in ("path", "gain")]
    return columns + ["noise_path", "noise_gain"] * noise


def write_csv(path, header, rows):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_metadata(path, count, speakers=2, part="dev-clean", noise_part="cv", seed=0, noises=10):
    """``count`` rows in the shape of the published files: speakers and chapters as numbers, gains of 16 digits.

    Returns:
        Path: the CSV.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        utterances = [f"{rng.integers(100, 200) + 1000 * k}-{rng.integers(1000, 1005)}-{n:04d}"
                      for k in range(speakers)]
        row = ["_".join(utterances)]
        for utterance in utterances:
            speaker, chapter, _ = utterance.split("-")
            row += [f"{part}/{speaker}/{chapter}/{utterance}.flac", repr(float(rng.uniform(0.2, 2)))]
        rows.append([*row, f"{noise_part}/noise{rng.integers(noises):03d}.wav", repr(float(rng.uniform(0.3, 3)))])
    return write_csv(path, metadata_header(speakers), rows)


def write_trees(csv_paths, speech, noises=None, seconds=(0.2, 0.5), noise_seconds=(0.52, 0.8), seed=0, peak=1.0):
    """Write every FLAC and (with ``noises``) every two-channel noise that the CSVs name; each file is its own signal.

    Args:
        seconds, noise_seconds: shortest and longest file; a noise shorter than its mixture must be over 8001 samples.
        peak: factor on the voices, which peak at 0.35.
    """
    rng = np.random.default_rng(seed)
    done = set()
    for path in csv_paths:
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                for column, name in row.items():
                    if not column.endswith("_path") or name in done:
                        continue
                    done.add(name)
                    if column != "noise_path":
                        samples = int(rng.uniform(*seconds) * RATE)
                        write_audio(Path(speech) / name, peak * voice(rng, samples, RATE), RATE)
                    elif noises is not None:
                        samples = int(rng.uniform(*noise_seconds) * RATE)
                        write_audio(Path(noises) / name, 0.1 * rng.standard_normal((samples, 2)).clip(-3, 3), RATE)

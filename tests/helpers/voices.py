"""Folders of single voices for tests: every speaker a tone of their own, so that who is heard can be measured."""

import numpy as np

from tests.helpers.corpus_trees import write_audio

PITCHES = {"anna": 300.0, "ben": 500.0, "cleo": 800.0, "dora": 1300.0, "emil": 2100.0}  # Hz


def tone(pitch, seconds, rate=8000, seed=0, peak=0.2):
    """A tone with slow swells, float64 [T]."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(1, 3) * time + rng.uniform(0, 6))
    return peak * swell * np.sin(2 * np.pi * pitch * time + rng.uniform(0, 6))


def write_voices(root, files=4, seconds=(0.5, 2.0), rate=8000, suffix=".wav", speakers=tuple(PITCHES)):
    """<root>/<speaker>/<n>.wav; returns ``root``."""
    rng = np.random.default_rng(7)
    for speaker in speakers:
        for n in range(files):
            samples = tone(PITCHES[speaker], rng.uniform(*seconds), rate, seed=n)
            write_audio(root / speaker / f"{n}{suffix}", samples, rate)
    return root


def write_noises(root, files=3, seconds=1.5, rate=8000, channels=1):
    """<root>/n<n>.wav of white noise; returns ``root``."""
    rng = np.random.default_rng(8)
    for n in range(files):
        noise = 0.05 * rng.standard_normal((round(seconds * rate), channels))
        write_audio(root / f"n{n}.wav", noise[:, 0] if channels == 1 else noise, rate)
    return root


def speaker_of(signal, rate=8000):
    """Name of the speaker whose pitch is nearest the strongest frequency of a signal [T], and that frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 4 * len(signal)))
    found = spectrum.argmax() * rate / (4 * len(signal))
    return min(PITCHES, key=lambda name: abs(np.log(PITCHES[name] / found))), found

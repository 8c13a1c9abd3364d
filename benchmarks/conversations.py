"""Long recordings of two real voices that talk at once, pause, and are silent together at times."""

from collections import defaultdict

import numpy as np

from src.audio.files import read_mono

SUBSETS = ("dev", "test")  # of samples/: utterances that the models of this project are not trained on
TURN = (4.0, 15.0)  # seconds a voice talks before it pauses
PAUSE = (0.3, 4.0)  # seconds
TOGETHER = 25.0  # mean seconds from one pause of both to the next
SILENCE = (3.0, 12.0)  # seconds of it
FLOOR_DB = -70.0  # noise of the room in dBFS: voices are at about -33


def utterances(samples_dir, subsets=SUBSETS):
    """{speaker: [float32 [T]]} of a mixture tree whose names say who speaks, and their rate in Hz."""
    found, rate = defaultdict(dict), None
    for subset in subsets:
        for number in (1, 2):
            for path in sorted((samples_dir / subset / f"s{number}").iterdir()):
                name = path.stem.split("_")[number - 1]
                samples, rate = read_mono(path, rate)
                found[name.split("-")[0]][name] = samples
    return {speaker: list(takes.values()) for speaker, takes in found.items()}, rate


def conversation(voices, seconds, rate, rng):
    """Sources float32 [2, T] of two speakers and their mixture [T] with the room's noise.

    Args:
        voices: for each speaker the utterances to choose from, each used once before any is used again.
        rng (np.random.Generator): the one source of chance.
    """
    length = round(seconds * rate)
    silent = _silences(seconds, rate, length, rng)
    sources = np.stack([_talk(takes, length, rate, silent, rng) for takes in voices])
    noise = 10 ** (FLOOR_DB / 20) * rng.standard_normal(length)
    return sources, (sources.sum(0) + noise).astype(np.float32)


def _silences(seconds, rate, length, rng):
    """Where both are silent: bool [T]."""
    silent, time = np.zeros(length, bool), 0.0
    while (time := time + rng.uniform(0.5, 1.5) * TOGETHER) < seconds:
        stop = time + rng.uniform(*SILENCE)
        silent[round(time * rate) : round(stop * rate)] = True
        time = stop
    return silent


def _talk(takes, length, rate, silent, rng):
    """One voice float32 [T]: turns of several utterances, pauses between them, nothing where all are silent."""
    voice = np.zeros(length, np.float32)
    free = np.flatnonzero(~silent)  # the samples at which somebody may talk
    position, order = round(rng.uniform(*PAUSE) * rate / 2), []
    while position < len(free):
        left = rng.uniform(*TURN) * rate
        while left > 0 and position < len(free):
            order = order or list(rng.permutation(len(takes)))
            take = takes[order.pop()]
            where = free[position : position + len(take)]
            voice[where] = take[: len(where)]
            position, left = position + len(take), left - len(take)
        position += round(rng.uniform(*PAUSE) * rate)
    return voice

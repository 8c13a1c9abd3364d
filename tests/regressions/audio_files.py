"""Audio files as recorders, pipes and cat leave them, made of good ones; no program but libsndfile is needed."""

import struct

import numpy as np
import soundfile

RATE = 16000


def sound(seconds, rate=RATE, seed=0):
    """Many gliding tones with swells, float32 [T]: lossy formats keep it, and no part of it is like another."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    total = 0
    for _ in range(12):
        pitch = rng.uniform(200, 1500) * time + rng.uniform(-60, 60) * time**2 / 2
        swell = 1 + np.sin(2 * np.pi * rng.uniform(0.2, 2) * time + rng.uniform(0, 6))
        total += swell * np.sin(2 * np.pi * pitch + rng.uniform(0, 6))
    return (0.3 * total / 24).astype(np.float32)


def encoded(folder, name, samples, rate=RATE, **options):
    """The bytes of samples in the format of a name; the file is left there."""
    soundfile.write(folder / name, samples, rate, **options)
    return (folder / name).read_bytes()


def without_index(mp3):
    """An MP3 without its first frame, the index: what comes out of a pipe."""
    assert b"Xing" in mp3[:48] or b"Info" in mp3[:48]
    return mp3[mp3.index(mp3[:2], 64) :]


def without_length(flac):
    """A FLAC whose header says that it has 0 samples: unknown."""
    data = bytearray(flac)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def likeness(got, wanted, reach=2000):
    """(correlation, shift) of the best place for [T] in other samples, which may begin up to ``reach`` later."""
    shifts = range(max(1, min(reach, len(got) - len(wanted) // 2)))
    part = wanted[: len(wanted) // 2]
    norms = [float(np.dot(got[k : k + len(part)], part) / (1e-9 + np.linalg.norm(got[k : k + len(part)])
                                                         * np.linalg.norm(part))) for k in shifts]
    best = int(np.argmax(norms))
    rest = got[best : best + len(wanted)]
    return float(np.corrcoef(rest, wanted[: len(rest)])[0, 1]), best


def put(data, at, form, *values):
    """Bytes with numbers packed over those at ``at``."""
    new = struct.pack(form, *values)
    return data[:at] + new + data[at + len(new) :]

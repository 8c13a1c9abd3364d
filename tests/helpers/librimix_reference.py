"""LibriMix's rules a second time, step by step and slowly, to compare with. Shares no code with src/."""

import csv
import math
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile


def generate(csv_path, speech, noises, out, rate, mode):
    """Write <out>/{s1, ..., noise, mix_clean, mix_both, mix_single}/<mixture_ID>.wav for every row of a metadata CSV.

    Returns:
        list[str]: the mixture ids in the order of the file.
    """
    with open(csv_path, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        speakers = sum(1 for name in row if name.startswith("source_") and name.endswith("_path"))
        # 1. read; the longest source decides how much noise there is
        voices = []
        for n in range(1, speakers + 1):
            samples, found = soundfile.read(str(Path(speech) / row[f"source_{n}_path"]), dtype="float32")
            assert found == 16000 and samples.ndim == 1
            voices.append(samples)
        longest = max(len(samples) for samples in voices)
        # 2. the noise: first channel, cut or extended
        noise, _ = soundfile.read(str(Path(noises) / row["noise_path"]), dtype="float32")
        if noise.ndim == 2:
            noise = noise[:, 0]
        noise = repeat_until(noise[:longest], longest)
        # 3. gain, 4. rate
        gains = [float(row[f"source_{n}_gain"]) for n in range(1, speakers + 1)] + [float(row["noise_gain"])]
        parts = [scipy.signal.resample_poly(samples * gain, rate, 16000)
                 for samples, gain in zip([*voices, noise], gains)]
        # 5. length
        if mode == "min":
            shortest = min(len(samples) for samples in parts)
            parts = [samples[:shortest] for samples in parts]
        else:
            most = max(len(samples) for samples in parts)
            parts = [np.concatenate([samples, np.zeros(most - len(samples), samples.dtype)]) for samples in parts]
        # 6. sums, 7. files
        signals = {f"s{n + 1}": samples for n, samples in enumerate(parts[:-1])}
        signals["noise"] = parts[-1]
        clean = np.zeros(len(parts[0]), np.float32)
        for samples in parts[:-1]:
            clean = clean + samples
        signals["mix_clean"] = clean
        signals["mix_both"] = (clean + parts[-1]).astype(np.float32)
        signals["mix_single"] = (parts[0] + parts[-1]).astype(np.float32)
        for name, samples in signals.items():
            path = Path(out) / name / f"{row['mixture_ID']}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(str(path), samples, rate)
    return [row["mixture_ID"] for row in rows]


def repeat_until(noise, samples):
    """The noise repeated to so many samples, each joint faded by the formula of a 16001-point Hann window."""
    if len(noise) >= samples:
        return noise
    rising = [0.5 - 0.5 * math.cos(2 * math.pi * k / 16000) for k in range(8001)]
    out = [float(value) for value in noise]
    while len(out) < samples:
        joint = len(out) - 8001
        for k in range(8001):
            out[joint + k] = out[joint + k] * rising[8000 - k] + float(noise[k]) * rising[k]
        out.extend(float(value) for value in noise[8001:])
    return np.array(out[:samples])

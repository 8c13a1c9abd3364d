"""Small synthetic corpora: modulated noise in place of voices. Everything follows from the seed."""

from pathlib import Path

import numpy as np
import soundfile


def voice(rng, samples, rate):
    """A noise with syllables and a pitch of its own, float64 [samples], peak below 0.4."""
    time = np.arange(samples) / rate
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6)), 0.02, 1)
    pitch = np.sign(np.sin(2 * np.pi * rng.uniform(90, 250) * time)) + rng.standard_normal(samples)
    return 0.35 * syllables * pitch / max(np.abs(pitch).max(), 1e-9)


def write_audio(path, samples, rate, subtype="PCM_16"):
    """Write one wav or FLAC, its folder made if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), samples, rate, subtype=subtype)


def write_subset(folder, count, rate=8000, num_spks=2, seed=0, seconds=(0.2, 0.5), mixture="mix_clean", suffix=".wav",
                 subtype="PCM_16", noise=None):
    """Write ``count`` mixtures and their sources: <folder>/<mixture>, s1 ... sC; returns their ids, sorted.

    Args:
        seconds: shortest and longest mixture.
        mixture: name of the folder of summed sources; None: no such folder.
        noise: name of a folder for the sum with noise (mix_both); mix_single then is s1 with the noise.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    ids = []
    for n in range(count):
        samples = int(rng.integers(int(seconds[0] * rate), int(seconds[1] * rate) + 1))
        # quantized before they are added, so that the mixture is their exact sum
        sources = np.rint(np.stack([voice(rng, samples, rate) for _ in range(num_spks)]) * 32768 / num_spks) / 32768
        ids.append(f"{rng.integers(1000, 9999)}-{n:04d}_{rng.integers(1000, 9999)}-{n:04d}")
        signals = {f"s{k + 1}": source for k, source in enumerate(sources)}
        if mixture:
            signals[mixture] = sources.sum(axis=0)
        if noise:
            hiss = np.rint(0.05 * rng.standard_normal(samples).clip(-3, 3) * 32768) / 32768
            signals[noise] = sources.sum(axis=0) + hiss
            signals["mix_single"] = sources[0] + hiss
        for name, signal in signals.items():
            write_audio(folder / name / f"{ids[-1]}{suffix}", signal, rate, subtype)
    return sorted(ids)


def write_librimix_tree(root, counts, rate=8000, num_spks=2, mode="min", seed=0, **options):
    """Write <root>/Libri<C>Mix/wav<R>k/<mode>/<subset> for ``counts`` = {subset: mixtures}.

    ``options`` go to :func:`write_subset`. Returns (path of Libri<C>Mix, {subset: sorted ids}).
    """
    corpus = Path(root) / f"Libri{num_spks}Mix"
    branch = corpus / f"wav{rate // 1000}k" / mode
    ids = {subset: write_subset(branch / subset, count, rate, num_spks, seed + 101 * n, **options)
           for n, (subset, count) in enumerate(counts.items())}
    return corpus, ids


def write_wsj_tree(root, counts, rate=8000, num_spks=2, seed=0, **options):
    """Write <root>/<subset>/{mix,s1,...} for ``counts`` = {"tr": 3, "cv": 2, "tt": 2}; returns {subset: ids}."""
    return {subset: write_subset(Path(root) / subset, count, rate, num_spks, seed + 101 * n, mixture="mix", **options)
            for n, (subset, count) in enumerate(counts.items())}

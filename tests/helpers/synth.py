"""Small synthetic corpora and models for tests."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]


def voice(rng, length, rate=8000):
    """Noise with a syllable-like envelope and a pitch, float [T] within +-0.2: enough like speech for plumbing."""
    t = np.arange(length) / rate
    pitch = rng.uniform(90, 250)
    harmonics = sum(np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6)) / k for k in range(1, 6))
    envelope = np.clip(np.sin(2 * np.pi * rng.uniform(2, 5) * t + rng.uniform(0, 6)), 0, None)
    return 0.05 * (harmonics + 0.3 * rng.normal(size=length)) * envelope + 1e-4 * rng.normal(size=length)


def write_mixture(folder, name, length, rng, rate=8000, num_spks=2, mixture="mix_clean", suffix=".wav", **options):
    """One mixture and its sources into ``folder``; sources are whole PCM steps and the mixture their exact sum."""
    sources = [np.rint(voice(rng, length, rate) * 32768) / 32768 for _ in range(num_spks)]
    signals = {mixture: sum(sources), **{f"s{c + 1}": s for c, s in enumerate(sources)}}
    for part, samples in signals.items():
        path = Path(folder) / part / (name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, **options)


def write_subset(folder, count, seed=0, lengths=(1000, 6000), **options):
    """``count`` mixtures of random lengths (samples) into ``folder``."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        write_mixture(folder, f"utt{i:04d}", int(rng.integers(*lengths)), rng, **options)
    return Path(folder)


def write_librimix(root, counts, rate=8000, mode="min", num_spks=2, **options):
    """A LibriMix tree: ``counts`` maps subset names to numbers of mixtures."""
    base = Path(root) / f"Libri{num_spks}Mix" / f"wav{rate // 1000}k" / mode
    for seed, (subset, count) in enumerate(counts.items()):
        write_subset(base / subset, count, seed, rate=rate, num_spks=num_spks, **options)
    return Path(root) / f"Libri{num_spks}Mix"


def run(script, *args, cwd=None, env=None, timeout=300):
    """Run a root script, or bash script, as a user does; stdout and stderr as text."""
    interpreter = ["bash"] if str(script).endswith(".sh") else [sys.executable]
    return subprocess.run([*interpreter, str(ROOT / script), *map(str, args)], cwd=cwd, capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, "DEVICE_TARGET": "CPU", "PYTHON": sys.executable,
                                                **(env or {})})


def assert_one_line_error(result, *words):
    """Exit status 1, one ``error:`` line with the given words, no traceback."""
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr + result.stdout, result.stderr
    errors = [line for line in result.stderr.splitlines() + result.stdout.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, result.stderr
    for word in words:
        assert str(word) in errors[0], (word, errors[0])


TINY = ["--in_channels", 8, "--out_channels", 8, "--bn_channels", 8, "--hidden_channels", 8, "--kernel_size", 8,
        "--K", 20, "--num_layers", 1, "--segment", 0.5, "--batch_size", 2, "--schedule", "constant",
        "--device_target", "CPU"]

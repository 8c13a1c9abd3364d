"""Time and memory of one training step, ours and Asteroid's in turns on the same weights and batches.

    python benchmarks/train_step.py --asteroid_python /path/to/asteroid/bin/python                # kernel 16, 2 x 4 s
    python benchmarks/train_step.py --asteroid_python /path/to/asteroid/bin/python --case paper   # kernel 2, 1 x 2 s

Prints the median of the ratios of paired blocks of steps, both peaks of memory, the first step (which compiles), and
what share of this machine's matrix products the LSTMs' arithmetic would be at that speed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.duel import Duel, add_arguments, real_batches  # noqa: E402

RATE = 8000
# model, batch, seconds
CASES = {"fast": (dict(kernel_size=16, K=100), 2, 4.0), "paper": (dict(kernel_size=2, K=250), 1, 2.0),
         "demo": (dict(kernel_size=32, K=50, hidden_channels=64, num_layers=2), 2, 2.0)}


def sgemm_rate(size=2048, rounds=5):
    """Floating-point operations per second of this machine's single-precision matrix product."""
    import numpy as np

    a = np.random.default_rng(0).random((size, size), np.float32)
    a @ a
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times)


def lstm_operations(config, batch, samples):
    """Floating-point operations of the LSTMs of one training step: forward, and twice that for the gradient."""
    frames = (samples - config.kernel_size) // (config.kernel_size // 2) + 1
    chunks = (frames + config.K) // (config.K // 2) + 1
    hidden, inputs = config.hidden_channels, config.bn_channels
    one_direction = 2 * 4 * hidden * (inputs + hidden)
    return 3 * batch * chunks * config.K * 2 * one_direction * 2 * config.num_layers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--case", choices=CASES, default="fast")
    parser.add_argument("--blocks", type=int, default=5, help="pairs of blocks that are compared")
    parser.add_argument("--steps", type=int, default=3, help="steps per block")
    args = parser.parse_args()

    from src.core.device import setup
    from src.network.dprnn.config import ModelConfig

    setup("CPU")
    changes, batch, seconds = CASES[args.case]
    config = ModelConfig(**{**dict(in_channels=64, out_channels=64, bn_channels=64, hidden_channels=128, num_layers=6),
                            **changes})
    samples = round(seconds * RATE)
    with TemporaryDirectory() as folder:
        duel = Duel(config, real_batches(4, batch, samples), folder, args)
        first = {name: duel.steps(name, 1)["seconds"][0] for name in duel.workers}
        times, peaks = {name: [] for name in duel.workers}, {}
        for i in range(args.blocks):
            for name in sorted(duel.workers, reverse=i % 2):  # neither always comes first
                answer = duel.steps(name, args.steps)
                times[name].append(statistics.mean(answer["seconds"]))
                peaks[name] = answer["peak_mib"]
        duel.close()
    ratios = [ours / theirs for ours, theirs in zip(times["ours"], times["asteroid"])]
    for name in times:
        print(f"{name:9} step {statistics.median(times[name]):6.3f} s, peak {peaks[name]:6.0f} MiB, "
              f"first step {first[name]:5.1f} s")
    share = lstm_operations(config, batch, samples) / statistics.median(times["ours"]) / sgemm_rate()
    print(f"ours / Asteroid: step {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
          f"peak memory {peaks['ours'] / peaks['asteroid']:.2f}; the LSTMs' arithmetic alone is {share:.0%} of what "
          "sgemm does in our step")


if __name__ == "__main__":
    main()

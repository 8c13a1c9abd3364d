"""Do 50 training steps follow Asteroid's? Same weights, same batches of real voices, Adam, clipping.

    python benchmarks/parity_asteroid.py --asteroid_python /path/to/asteroid/bin/python

Prints both losses and the largest relative difference; exits with 1 where it exceeds --tolerance.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.duel import Duel, add_arguments, real_batches  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()

    from src.config import ModelConfig
    from src.device import setup

    setup("CPU")
    config = ModelConfig(in_channels=64, out_channels=64, bn_channels=64, hidden_channels=64, kernel_size=32, K=50,
                         num_layers=2)
    with TemporaryDirectory() as folder:
        duel = Duel(config, real_batches(args.steps, 2, 16000), folder, args)
        ours, theirs = (duel.steps(name, args.steps)["losses"] for name in ("ours", "asteroid"))
        duel.close()
    differences = [abs(a - b) / max(abs(b), 1.0) for a, b in zip(ours, theirs)]
    for i in range(0, args.steps, max(1, args.steps // 10)):
        print(f"step {i + 1:3}: ours {ours[i]:9.5f} dB, Asteroid {theirs[i]:9.5f} dB")
    print(f"largest relative difference of {args.steps} losses: {max(differences):.1e}")
    return max(differences) > args.tolerance


if __name__ == "__main__":
    sys.exit(main())

"""Do 50 training steps follow Asteroid's? Same weights, same batches of real voices, Adam, clipping.

    python benchmarks/parity_asteroid.py --asteroid_python /path/to/asteroid/bin/python

Prints both losses and the largest relative difference; exits with 1 where it exceeds --tolerance. Adam's first steps
move a weight by the full rate whichever sign the rounding of a tiny gradient has, so that two runs drift apart with the
rate: as a control, a second Asteroid starts from weights changed by 1e-7 of themselves.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.duel import Duel, add_arguments, real_batches  # noqa: E402

LR = 3e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, lr=LR)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()

    from src.core.device import setup
    from src.network.dprnn.config import ModelConfig

    setup("CPU")
    config = ModelConfig(in_channels=64, out_channels=64, bn_channels=64, hidden_channels=64, kernel_size=32, K=50,
                         num_layers=2)
    with TemporaryDirectory() as folder:
        duel = Duel(config, real_batches(args.steps, 2, 16000), folder, args, control=True)
        ours, theirs, control = (duel.steps(name, args.steps)["losses"] for name in ("ours", "asteroid", "control"))
        duel.close()
    found = largest_difference(ours, theirs)
    for i in range(0, args.steps, max(1, args.steps // 10)):
        print(f"step {i + 1:3}: ours {ours[i]:9.5f} dB, Asteroid {theirs[i]:9.5f} dB")
    print(f"largest relative difference of {args.steps} losses: {found:.1e}; Asteroid with weights changed by 1e-7 of "
          f"themselves: {largest_difference(control, theirs):.1e}")
    return found > args.tolerance


def largest_difference(losses, reference):
    """The largest difference of two lists of losses (dB), relative to the reference, or to 1 dB where it is smaller."""
    return max(abs(a - b) / max(abs(b), 1.0) for a, b in zip(losses, reference, strict=True))


if __name__ == "__main__":
    sys.exit(main())

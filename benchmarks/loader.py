"""Does the loader feed the trainer faster than it computes? Mixtures per second of both, and the loader's memory.

    python preprocess.py --in_dir samples --out_dir data
    python benchmarks/loader.py --train_dir data/train

    python preprocess.py --in_dir samples --out_dir data/speech --task speech --subsets train
    python benchmarks/loader.py --train_dir data/speech/train --dynamic_mixing 1 --steps 10000 \
        --config_path configs/dprnn_fast.yaml

Other options go to the recipe, as those of train.py.
"""

import argparse
import os
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
LOOKS = 10  # at the memory


def cpu_seconds():
    """CPU time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory():
    """MiB this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_loader(loader, steps):
    """The loader alone.

    Returns:
        tuple: steps per second, CPU seconds per step, MiB after each tenth of the steps.
    """
    began, used, done, epoch, held = time.monotonic(), cpu_seconds(), 0, 0, []
    while done < steps:
        for _ in loader.epoch(epoch):
            done += 1
            if done * LOOKS >= (len(held) + 1) * steps:
                held.append(memory())
            if done == steps:
                break
        epoch += 1
    return done / (time.monotonic() - began), (cpu_seconds() - used) / done, held


def trainer_rate(config, batch, steps):
    """(steps per second, CPU seconds per step) of the training step alone, on one batch, after compiling."""
    import mindspore as ms
    from mindspore import Tensor

    from src.network.dprnn.model import DPRNNTasNet
    from src.network.registry import model_part
    from src.training.train_step import TrainStep, build_optimizer

    network = DPRNNTasNet(model_part(config))
    network.set_train()
    step = TrainStep(network, build_optimizer(config, network), config)
    batch = [Tensor(a) for a in batch] + [Tensor(config.lr, ms.float32)]
    for number in range(steps + 3):
        if number == 3:
            began, used = time.monotonic(), cpu_seconds()
        step(*batch)[0].asnumpy()
    return steps / (time.monotonic() - began), (cpu_seconds() - used) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config_path", default=str(ROOT / "configs" / "dprnn_demo.yaml"))
    parser.add_argument("--steps", type=int, default=2000, help="loader steps")
    parser.add_argument("--trainer_steps", type=int, default=20, help="steps of the trainer; 0 leaves it out")
    args, flags = parser.parse_known_args()

    from src.core.command_line import parse_args
    from src.core.device import setup
    from src.distributed.world import World
    from src.tasks.registry import task
    from src.training.config import TrainConfig

    setup("CPU")
    config = parse_args(TrainConfig, ["--config_path", args.config_path, *flags])
    loader = task(config.task).loader(config, World())
    print(loader.describe(), flush=True)
    run_loader(loader, 20)  # what is loaded once
    rate, seconds, held = run_loader(loader, args.steps)
    batch = config.batch_size
    print(f"loader: {rate * batch:.0f} mixtures of {config.segment:g} s per second, {rate * seconds:.2f} cores; "
          f"{1000 * seconds / batch:.2f} ms of CPU time for each", flush=True)
    print(f"memory after each tenth of {args.steps} steps: {' '.join(f'{m:.0f}' for m in held)} MiB", flush=True)
    if args.trainer_steps:
        trained, busy = trainer_rate(config, next(loader.epoch(0)), args.trainer_steps)
        # on a machine that others load it is slower than it could be
        most = max(trained, os.cpu_count() / busy)
        print(f"trainer: {trained * batch:.2f} mixtures per second, at most {most * batch:.2f} on all "
              f"{os.cpu_count()} cores; one core of loader makes {1 / seconds / most:.0f} times as many")


if __name__ == "__main__":
    from src.core.errors import run_cli

    run_cli(lambda argv: main())

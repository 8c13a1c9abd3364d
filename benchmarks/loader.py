"""Does the loader feed the trainer faster than it computes? Audio seconds per second of both, and the loader's memory.

    python preprocess.py --in_dir samples --out_dir data
    python benchmarks/loader.py --train_dir data/train
"""

import argparse
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def loader_rate(loader, steps):
    """Steps per second of the loader alone over ``steps`` steps."""
    began, done, epoch = time.monotonic(), 0, 0
    while done < steps:
        for _ in loader.epoch(epoch):
            done += 1
        epoch += 1
    return done / (time.monotonic() - began)


def trainer_rate(config, loader, steps):
    """Steps per second of the training step alone, on one batch, after compiling."""
    import mindspore as ms
    from mindspore import Tensor

    from src.config import model_part
    from src.model import DPRNNTasNet
    from src.train_step import TrainStep, build_optimizer

    network = DPRNNTasNet(model_part(config))
    network.set_train()
    step = TrainStep(network, build_optimizer(config, network), config)
    batch = [Tensor(a) for a in next(loader.epoch(0))] + [Tensor(config.lr, ms.float32)]
    for number in range(steps + 3):
        if number == 3:
            began = time.monotonic()
        step(*batch)[0].asnumpy()
    return steps / (time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train_dir", required=True)
    parser.add_argument("--config_path", default=str(ROOT / "configs" / "dprnn_demo.yaml"))
    parser.add_argument("--steps", type=int, default=2000, help="loader steps")
    args = parser.parse_args()

    from src.config import TrainConfig, parse_args
    from src.dataset import Records, TrainLoader
    from src.device import setup

    setup("CPU")
    config = parse_args(TrainConfig, ["--config_path", args.config_path])
    loader = TrainLoader(Records(args.train_dir), round(config.segment * config.sample_rate), config.batch_size,
                         config.seed, config.num_workers)
    first = loader_rate(loader, args.steps // 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = loader_rate(loader, args.steps)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    trainer = trainer_rate(config, loader, 20)
    print(f"loader {rate:.0f} steps/s (first tenth {first:.0f}), memory grew {grown:.0f} MiB over {args.steps} steps")
    print(f"trainer {trainer:.2f} steps/s; the loader is {rate / trainer:.0f} times as fast")


if __name__ == "__main__":
    main()

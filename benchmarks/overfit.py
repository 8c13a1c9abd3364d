"""Can the demo recipe learn two real mixtures by heart? Everything between audio and weights must be right for that.

    python benchmarks/overfit.py            # prints SI-SNRi of the batch as training goes on
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def overfit(target_db=12.0, max_steps=1500, segment=2.0, say=print):
    """Train on one batch of two mixtures of samples/ until the SI-SNRi passes ``target_db``.

    Returns:
        tuple: (SI-SNRi in dB of the last look, steps, seconds).
    """
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor

    from src.audio.files import from_pcm16
    from src.core.command_line import parse_args
    from src.data.corpora.mixture_tree import load, pair, subset_tree
    from src.data.loading.mixtures import crop_row
    from src.network.dprnn.model import DPRNNTasNet
    from src.network.registry import model_part
    from src.tasks.separation.scorer import Scorer
    from src.training.config import TrainConfig
    from src.training.train_step import TrainStep, build_optimizer

    config = parse_args(TrainConfig, ["--config_path", str(ROOT / "configs" / "dprnn_demo.yaml")])
    rows = []
    for item in pair(subset_tree(ROOT / "samples" / "train"))[0][:2]:
        mixture, sources = load(item, config.sample_rate)
        rows.append(crop_row(0, len(mixture), mixture, sources, 2, round(segment * config.sample_rate), (0, 0)))
    mixture, sources, lengths = (np.stack(column) for column in zip(*rows))
    assert np.abs(mixture - sources.sum(1)).max() <= from_pcm16(np.int16(1))
    ms.set_seed(config.seed)
    network = DPRNNTasNet(model_part(config))
    network.set_train()
    step = TrainStep(network, build_optimizer(config, network), config)
    batch = [Tensor(a) for a in (mixture, sources, lengths)]
    scorer, began, valid = Scorer(2), time.monotonic(), int(lengths.min())
    for number in range(1, max_steps + 1):
        step(*batch, Tensor(config.lr, ms.float32))
        if number % 50 == 0:
            estimates = network(batch[0]).asnumpy()
            score = scorer(mixture[:, :valid], sources[..., :valid], estimates[..., :valid])["si_snri"].mean()
            say(f"step {number}: SI-SNRi {score:.2f} dB, {time.monotonic() - began:.0f} s")
            if score > target_db:
                break
    return float(score), number, time.monotonic() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target_db", type=float, default=12.0)
    parser.add_argument("--max_steps", type=int, default=1500)
    args = parser.parse_args()
    from src.core.device import setup

    setup("CPU")
    overfit(args.target_db, args.max_steps)

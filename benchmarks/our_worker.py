"""Our half of parity_asteroid.py and train_step.py, with the protocol of asteroid_worker.py."""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main(checkpoint_path, batches_path, rate, l2, clip, blocks):
    import mindspore as ms
    from mindspore import Tensor

    from src.core.device import setup
    from src.network.dprnn.model import DPRNNTasNet
    from src.training.config import TrainConfig
    from src.training.train_step import TrainStep, build_optimizer, recompute
    from src.weights.checkpoint import load_weights, read

    setup("CPU")
    model_config, _, values = read(checkpoint_path)
    config = TrainConfig(lr=float(rate), l2=float(l2), clip_norm=float(clip), num_spks=model_config.num_spks)
    network = DPRNNTasNet(model_config)
    load_weights(network, values, checkpoint_path)
    network.set_train()
    recompute(network, int(blocks))
    step = TrainStep(network, build_optimizer(config, network), config)
    with np.load(batches_path) as archive:
        mixtures, sources = archive["mixtures"], archive["sources"]
    lengths = Tensor(np.full(mixtures.shape[1], mixtures.shape[2], np.int32))
    done = 0
    print("ready", flush=True)
    for line in sys.stdin:
        losses, seconds = [], []
        for _ in range(int(line)):
            begun = time.perf_counter()
            batch = done % len(mixtures)
            loss = step(Tensor(mixtures[batch]), Tensor(sources[batch]), lengths, Tensor(config.lr, ms.float32))[0]
            losses.append(float(loss.asnumpy()))
            seconds.append(time.perf_counter() - begun)
            done += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"losses": losses, "seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

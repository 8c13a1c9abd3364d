"""Asteroid's half of parity_asteroid.py and train_step.py; runs in Asteroid's environment, is started by them.

Reads a model (.npz of convert.py) and batches, then for every number n on stdin takes n steps and prints one line of
JSON with losses, seconds per step and the peak memory of this process.
"""

import json
import os
import resource
import sys
import time

import numpy as np
import torch
from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr
from asteroid.models import DPRNNTasNet


def main(model_path, batches_path, rate, l2, clip):
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with np.load(model_path) as archive:
        arrays = dict(archive)
    arguments = json.loads(str(arrays.pop("__config__")))
    arguments.pop("in_chan")
    model = DPRNNTasNet(**arguments).train()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    with np.load(batches_path) as archive:
        mixtures, sources = (torch.from_numpy(archive[name]) for name in ("mixtures", "sources"))
    criterion = PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    optimizer = torch.optim.Adam(model.parameters(), lr=float(rate), weight_decay=float(l2))
    done = 0
    print("ready", flush=True)
    for line in sys.stdin:
        losses, seconds = [], []
        for _ in range(int(line)):
            begun = time.perf_counter()
            batch = done % len(mixtures)
            optimizer.zero_grad()
            loss = criterion(model(mixtures[batch]), sources[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), float(clip))
            optimizer.step()
            losses.append(loss.item())
            seconds.append(time.perf_counter() - begun)
            done += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"losses": losses, "seconds": seconds, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What torch_training computes for the arrays of an .npz in make_asteroid.py's format; run by the Python of PyTorch.

    python tests/reference/torch_outputs.py asteroid_lstm.npz out.npz
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from src.network.dprnn.config import ModelConfig  # noqa: E402
from torch_training.loss import best_permutation, training_scores  # noqa: E402
from torch_training.network import DPRNNTasNet  # noqa: E402


def main(path, out):
    """estimates/T, loss/T for each mixture/T with sources/T, and grad/* of the first of them."""
    with np.load(path) as archive:
        arrays = dict(archive)
    model = DPRNNTasNet(ModelConfig(**json.loads(str(arrays["config"]))))
    model.load_state_dict({k[6:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("state/")})
    results = {}
    for n, length in enumerate(k.split("/")[1] for k in arrays if k.startswith("mixture/")):
        mixture, sources = (torch.from_numpy(arrays[f"{name}/{length}"]) for name in ("mixture", "sources"))
        estimates = model(mixture)
        loss = -best_permutation(training_scores(estimates, sources))[0].mean()
        results |= {f"estimates/{length}": estimates.detach().numpy(), f"loss/{length}": loss.item()}
        if n == 0:
            loss.backward()
            results |= {f"grad/{name}": p.grad.numpy() for name, p in model.named_parameters()}
    np.savez(out, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])

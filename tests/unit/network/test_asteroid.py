"""Forward, loss and gradients equal Asteroid's with the same weights (stored arrays; live where Asteroid is)."""

import json
import os
import subprocess
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src.export.asteroid import from_state_dict
from src.network.dprnn.asteroid_names import to_asteroid
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.tasks.separation.loss import PITLoss

REFERENCE = Path(__file__).parents[2] / "reference"
CASES = ("lstm", "gru", "rnn")


@pytest.fixture(scope="module")
def reference_dir(tmp_path_factory):
    """Stored arrays, or fresh ones from the Asteroid of $ASTEROID_PYTHON."""
    python = os.environ.get("ASTEROID_PYTHON")
    if not python:
        return REFERENCE
    folder = tmp_path_factory.mktemp("asteroid")
    subprocess.run([python, REFERENCE / "make_asteroid.py", folder], check=True)
    return folder


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kernel", [None, "loop"])
def test_equals_asteroid(case, kernel, reference_dir):
    with np.load(reference_dir / f"asteroid_{case}.npz") as archive:
        arrays = dict(archive)
    config = ModelConfig(**json.loads(str(arrays["config"])))
    network = DPRNNTasNet(config, kernel)
    state = {k[6:]: v for k, v in arrays.items() if k.startswith("state/")}
    assert {to_asteroid(p.name) for p in network.trainable_params()} == set(state)
    values = from_state_dict(network, state, to_asteroid)
    ms.load_param_into_net(network, {k: Parameter(Tensor(v), name=k) for k, v in values.items()}, strict_load=True)
    network.set_train(False)
    network.set_inputs(Tensor(shape=[None, None], dtype=ms.float32))
    criterion = PITLoss(config.num_spks)
    lengths = [int(k.split("/")[1]) for k in arrays if k.startswith("loss/")]
    assert len(lengths) == 3
    for length in lengths:
        estimates = network(Tensor(arrays[f"mixture/{length}"]))
        assert np.abs(estimates.asnumpy() - arrays[f"estimates/{length}"]).max() < 1e-5
        loss = criterion(estimates, Tensor(arrays[f"sources/{length}"]), Tensor(np.full(2, length, np.int32)))
        assert abs(float(loss.asnumpy()) - arrays[f"loss/{length}"]) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_asteroid(case, reference_dir):
    with np.load(reference_dir / f"asteroid_{case}.npz") as archive:
        arrays = dict(archive)
    config = ModelConfig(**json.loads(str(arrays["config"])))
    network = DPRNNTasNet(config)
    values = from_state_dict(network, {k[6:]: v for k, v in arrays.items() if k.startswith("state/")}, to_asteroid)
    ms.load_param_into_net(network, {k: Parameter(Tensor(v), name=k) for k, v in values.items()}, strict_load=True)
    criterion = PITLoss(config.num_spks)

    network.set_train()

    def forward(mixture, sources, lengths):
        return criterion(network(mixture), sources, lengths)

    step = ms.jit(ms.value_and_grad(forward, None, network.trainable_params()))
    length = 1000
    _, gradients = step(Tensor(arrays[f"mixture/{length}"]), Tensor(arrays[f"sources/{length}"]),
                        Tensor(np.full(2, length, np.int32)))
    for parameter, gradient in zip(network.trainable_params(), gradients):
        expected = arrays["grad/" + to_asteroid(parameter.name)].reshape(parameter.shape)
        scale = np.abs(expected).max()
        assert scale > 0, parameter.name
        assert np.abs(gradient.asnumpy() - expected).max() < 1e-4 * max(scale, 1.0), parameter.name

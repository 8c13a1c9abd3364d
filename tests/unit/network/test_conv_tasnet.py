"""Conv-TasNet: equal to Asteroid's, its graph and numpy's pass equal to the network, and its way through convert.py."""

import dataclasses
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import Parameter, Tensor

from src.core.errors import UserError
from src.export.asteroid import CONFIG_KEY, export_asteroid, from_state_dict, import_asteroid, read_asteroid
from src.export.config import ConvertConfig
from src.network.conv_tasnet import asteroid
from src.network.conv_tasnet.config import ModelConfig
from src.network.conv_tasnet.family import check_samples, hop
from src.network.conv_tasnet.model import ConvTasNet
from src.network.conv_tasnet.numpy_forward import forward, parameter_shapes
from src.network.conv_tasnet.onnx_graph import build
from src.tasks.separation.loss import PITLoss
from src.weights.checkpoint import for_inference, load_model

REFERENCE = Path(__file__).parents[2] / "reference"
CASES = ("conv_gln", "conv_causal", "conv_softmax")
TINY = ModelConfig(in_channels=6, out_channels=6, kernel_size=4, bn_channels=5, hidden_channels=7, skip_channels=4,
                   num_blocks=3, num_repeats=2)
SHAPES = ((1, 1), (2, 3), (1, 23), (3, 100), (2, 1001))


def arrays_of(case):
    with np.load(REFERENCE / f"asteroid_{case}.npz") as archive:
        return dict(archive)


def state_of(arrays):
    return {key[6:]: value for key, value in arrays.items() if key.startswith("state/")}


def network_of(arrays):
    """Asteroid's network of a case as ours."""
    config = ModelConfig(**json.loads(str(arrays["config"])))
    network = ConvTasNet(config)
    values = from_state_dict(network, state_of(arrays), asteroid.key_of(config))
    ms.load_param_into_net(network, {k: Parameter(Tensor(v), name=k) for k, v in values.items()}, strict_load=True)
    return network


@pytest.mark.parametrize("case", CASES)
def test_equals_asteroid(case):
    arrays = arrays_of(case)
    network = for_inference(network_of(arrays))
    criterion = PITLoss(network.config.num_spks)
    lengths = [int(key.split("/")[1]) for key in arrays if key.startswith("loss/")]
    assert len(lengths) == 3
    for length in lengths:
        estimates = network(Tensor(arrays[f"mixture/{length}"]))
        assert np.abs(estimates.asnumpy() - arrays[f"estimates/{length}"]).max() < 1e-5
        loss = criterion(estimates, Tensor(arrays[f"sources/{length}"]), Tensor(np.full(2, length, np.int32)))
        assert abs(float(loss.asnumpy()) - arrays[f"loss/{length}"]) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_asteroid(case):
    arrays = arrays_of(case)
    network = network_of(arrays)
    criterion, key_of = PITLoss(network.config.num_spks), asteroid.key_of(network.config)
    network.set_train()

    def loss(mixture, sources, lengths):
        return criterion(network(mixture), sources, lengths)

    step = ms.jit(ms.value_and_grad(loss, None, network.trainable_params()))
    length = min(int(key.split("/")[1]) for key in arrays if key.startswith("loss/") and key.endswith("00"))
    _, gradients = step(Tensor(arrays[f"mixture/{length}"]), Tensor(arrays[f"sources/{length}"]),
                        Tensor(np.full(2, length, np.int32)))
    assert {key_of(p.name) for p in network.trainable_params()} == {k[5:] for k in arrays if k.startswith("grad/")}
    for parameter, gradient in zip(network.trainable_params(), gradients):
        expected = arrays["grad/" + key_of(parameter.name)].reshape(parameter.shape)
        scale = np.abs(expected).max()
        assert scale > 0, parameter.name
        assert np.abs(gradient.asnumpy() - expected).max() < 1e-4 * max(scale, 1.0), parameter.name


def run(model, mixture):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"mixture": mixture})[0]


@pytest.mark.parametrize("changes", [
    dict(), dict(skip_channels=0, num_spks=1), dict(causal=True, norm="cln", num_spks=3),
    dict(norm="ln", mask_act="softmax", conv_kernel_size=2), dict(out_channels=9, mask_act="relu", kernel_size=5),
], ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()) or "default")
def test_graph_and_numpy_equal_the_network_for_every_shape(changes):
    ms.set_seed(0)
    network = for_inference(ConvTasNet(dataclasses.replace(TINY, **changes)))
    rng = np.random.default_rng(0)
    for parameter in network.get_parameters():  # norms and biases too must matter
        moved = parameter.asnumpy() + rng.normal(0, 0.05, parameter.shape)
        parameter.set_data(Tensor(moved.astype(np.float32)))
    config, weights = network.config, {p.name: p.asnumpy() for p in network.get_parameters()}
    assert parameter_shapes(config) == {name: array.shape for name, array in weights.items()}
    dynamic = build(config, weights, {"sample_rate": "8000"})
    assert {p.key: p.value for p in dynamic.metadata_props} == {"sample_rate": "8000"}
    for i, shape in enumerate(SHAPES):
        mixture = np.random.default_rng(i).normal(0, 0.1, shape).astype(np.float32)
        wanted = network(Tensor(mixture)).asnumpy()
        assert wanted.shape == (shape[0], config.num_spks, shape[1])
        assert np.abs(forward(config, weights, mixture) - wanted).max() < 1e-5
        for model in (dynamic, build(config, weights, {}, *shape)):
            assert np.abs(run(model, mixture) - wanted).max() < 2e-5


def test_a_known_length_leaves_no_shape_arithmetic():
    weights = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(TINY).items()}
    assert not {node.op_type for node in build(TINY, weights, {}, 1, 1000).graph.node} & {"Shape", "Gather", "Max"}


@pytest.mark.parametrize("norm", ["cln", "ln"])
def test_a_causal_network_sees_no_later_frame(norm):
    network = for_inference(ConvTasNet(dataclasses.replace(TINY, causal=True, norm=norm)))
    mixture = np.random.default_rng(0).normal(0, 0.1, (1, 200)).astype(np.float32)
    changed = mixture.copy()
    changed[:, 120:] += 1
    difference = np.abs(network(Tensor(mixture)).asnumpy() - network(Tensor(changed)).asnumpy())[0]
    assert difference[:, : 120 - TINY.kernel_size].max() < 1e-6 and difference[:, 120:].max() > 1e-3


def test_lengths():
    assert hop(ModelConfig()) == 8
    long, short = check_samples(ModelConfig())
    assert short == 9 and long > 8 * 2 * 128, "longer than the widest convolution reaches"


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case, tmp_path):
    arrays = arrays_of(case)
    arguments = json.loads(str(arrays["model_args"]))
    np.savez(tmp_path / "theirs.npz", **state_of(arrays), **{CONFIG_KEY: json.dumps(arguments)})
    import_asteroid(ConvertConfig(from_asteroid=str(tmp_path / "theirs.npz"), out=str(tmp_path / "net.ckpt")))
    network = load_model(tmp_path / "net.ckpt")
    for key in [key for key in arrays if key.startswith("mixture/")]:
        wanted = arrays[key.replace("mixture", "estimates")]
        assert np.abs(network(Tensor(arrays[key])).asnumpy() - wanted).max() < 1e-5
    export_asteroid(ConvertConfig(to_asteroid=str(tmp_path / "net.ckpt"), out=str(tmp_path / "back.npz")))
    model, found, state = read_asteroid(tmp_path / "back.npz")
    assert model == "ConvTasNet" and {**found, "fb_name": arguments["fb_name"]} == arguments
    wanted, idle = state_of(arrays), asteroid.idle_arrays(network.config)
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in wanted.items()}
    assert all((state[key] == (0 if key in idle else wanted[key])).all() for key in wanted)
    assert bool(idle) == bool(network.config.skip_channels)


@pytest.mark.parametrize("causal", [False, True])
def test_a_plain_state_dict(causal):
    config = dataclasses.replace(TINY, num_blocks=8, causal=causal, norm="ln" if causal else "gln")
    key_of = asteroid.key_of(config)
    state = {key_of(name): np.zeros(asteroid.their_shape(name, shape), np.float32)
             for name, shape in parameter_shapes(config).items()}
    arguments, assumed = asteroid.arguments_of(state, "x.pth")
    assert asteroid.to_config(arguments, "x.pth") == config
    assert assumed == ["mask_act", "n_blocks", "norm_type", "sample_rate"]
    other = {name: array for name, array in state.items() if not name.startswith("masker.TCN.15.")}
    with pytest.raises(UserError, match="15 blocks"):
        asteroid.arguments_of(other, "x.pth")
    with pytest.raises(UserError, match="not a state dict"):
        asteroid.arguments_of({asteroid.MARK: np.zeros((2, 2, 1))}, "x.pth")


@pytest.mark.parametrize("changes, word", [
    (dict(stride=2), "stride"), (dict(fb_name="stft"), "fb_name"), (dict(norm_type="BN"), "norm_type"),
    (dict(mask_act="tanh"), "mask_act"), (dict(encoder_activation="relu"), "encoder_activation"),
    (dict(out_chan=5), "out_chan"), (dict(padding=2), "padding"), (dict(n_src=20), "num_spks"),
    (dict(conv_kernel_size=4), "conv_kernel_size"),
])
def test_unsupported_options_are_named(changes, word):
    arguments = json.loads(str(arrays_of("conv_gln")["model_args"]))
    with pytest.raises(UserError, match=word):
        asteroid.to_config({**arguments, **changes}, "x.pth")


def test_what_asteroid_cannot_express():
    for changes, word in ((dict(out_channels=9), "out_channels"), (dict(causal=True), "gln"),
                          (dict(conv_kernel_size=2), "even")):
        with pytest.raises(UserError, match=word):
            asteroid.to_arguments(dataclasses.replace(TINY, **changes), "net.ckpt")
    arguments = asteroid.to_arguments(TINY, "net.ckpt")
    assert asteroid.to_config({**arguments, "causal": True}, "x").norm == "ln", "as Asteroid's constructor does"

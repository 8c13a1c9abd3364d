"""The ONNX graph, run by ONNX Runtime, and numpy's forward pass against the network."""

import dataclasses
import json

import mindspore as ms
import numpy as np
import onnx
import onnxruntime
import pytest
from mindspore import Tensor

from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.network.dprnn.numpy_forward import forward, parameter_shapes
from src.network.dprnn.onnx_graph import OPSET, build
from src.weights.checkpoint import for_inference

TINY = ModelConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=2)
SHAPES = ((1, 1), (2, 3), (1, 4), (2, 5), (1, 23), (3, 100), (2, 1001))


def network_and_weights(changes):
    ms.set_seed(0)
    network = for_inference(DPRNNTasNet(dataclasses.replace(TINY, **changes)))
    rng = np.random.default_rng(0)
    for parameter in network.get_parameters():  # norms and biases too must matter
        moved = parameter.asnumpy() + rng.normal(0, 0.05, parameter.shape)
        parameter.set_data(Tensor(moved.astype(np.float32)))
    return network, {p.name: p.asnumpy() for p in network.get_parameters()}


def run(model, mixture):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"mixture": mixture})[0]


@pytest.mark.parametrize("changes", [
    dict(), dict(rnn_type="GRU"), dict(rnn_type="RNN", num_spks=1), dict(norm="cln", num_spks=3),
    dict(norm="ln", mask_act="softmax"), dict(out_channels=9, mask_act="sigmoid"),
    dict(bidirectional=False, rnn_type="GRU"), dict(kernel_size=5, K=7), dict(kernel_size=2, K=2),
    dict(kernel_size=3, K=3, num_spks=5),
], ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()) or "default")
def test_equals_the_network_for_every_shape(changes):
    network, weights = network_and_weights(changes)
    assert parameter_shapes(network.config) == {name: array.shape for name, array in weights.items()}
    dynamic = build(network.config, weights, {})
    for i, shape in enumerate(SHAPES):
        mixture = np.random.default_rng(i).normal(0, 0.1, shape).astype(np.float32)
        wanted = network(Tensor(mixture)).asnumpy()
        by_numpy = forward(network.config, weights, mixture)
        assert by_numpy.dtype == np.float32 and by_numpy.shape == wanted.shape
        assert np.abs(by_numpy - wanted).max() < 1e-5
        for model in (dynamic, build(network.config, weights, {}, *shape)):
            found = run(model, mixture)
            assert found.shape == wanted.shape
            assert np.abs(found - wanted).max() < 2e-5


def test_a_minute_is_as_exact_as_a_second():
    network, weights = network_and_weights({})
    mixture = np.random.default_rng(0).normal(0, 0.1, (1, 480000)).astype(np.float32)
    difference = run(build(network.config, weights, {}), mixture) - network(Tensor(mixture)).asnumpy()
    assert np.abs(difference).max() < 1e-4


def test_what_the_file_says_of_itself():
    network, weights = network_and_weights(dict(num_spks=3))
    model = build(network.config, weights, {"sample_rate": "8000", "config": json.dumps({"K": 6})}, None, None)
    assert model.opset_import[0].version == OPSET >= 17
    assert {p.key: p.value for p in model.metadata_props} == {"sample_rate": "8000", "config": '{"K": 6}'}
    rnns = [node for node in model.graph.node if node.op_type == "LSTM"]
    assert len(rnns) == 4 and all(a.s == b"bidirectional" for n in rnns for a in n.attribute if a.name == "direction")

    def axes(value):
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert axes(model.graph.input[0]) == ["batch", "time"] and axes(model.graph.output[0]) == ["batch", 3, "time"]


def test_a_known_length_leaves_no_shape_arithmetic():
    network, weights = network_and_weights({})
    kinds = {node.op_type for node in build(network.config, weights, {}, 1, 1000).graph.node}
    assert not kinds & {"Shape", "Gather", "Max", "ConstantOfShape"}

"""The network: size, shapes, trainability, and the same answer however it is compiled."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.network.layers.dropout import seed_dropout
from src.network.registry import parameter_count
from src.tasks.separation.loss import PITLoss
from src.weights.checkpoint import for_inference

TINY = ModelConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=2)


def build(**changes):
    ms.set_seed(0)
    network = DPRNNTasNet(dataclasses.replace(TINY, **changes))
    seed_dropout(network, seed=0)
    return network


def noise(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize("bn_channels, millions", [(64, 2.6), (128, 3.6)])
def test_paper_size(bn_channels, millions):
    count = parameter_count(DPRNNTasNet(ModelConfig(bn_channels=bn_channels)))
    assert count == pytest.approx(millions * 1e6, rel=0.02)


@pytest.mark.parametrize("changes", [
    dict(), dict(rnn_type="GRU"), dict(rnn_type="RNN", num_spks=1), dict(norm="cln", num_spks=3),
    dict(norm="ln", mask_act="softmax"), dict(out_channels=9, mask_act="sigmoid"), dict(bidirectional=False),
    dict(kernel_size=5, K=7), dict(kernel_size=2, K=2), dict(kernel_size=3, K=3, dropout=0.2),
], ids=lambda c: "-".join(f"{k}={v}" for k, v in c.items()) or "default")
def test_any_configuration_any_length_and_every_parameter_learns(changes):
    network = build(**changes)
    speakers = network.config.num_spks
    criterion = PITLoss(speakers)
    network.set_train()

    def loss(mixture, sources, lengths):
        return criterion(network(mixture), sources, lengths)

    sources = noise(2, speakers, 205)
    gradients = ms.grad(loss, None, network.trainable_params())(
        Tensor(sources.sum(1)), Tensor(sources), Tensor(np.array([205, 150], np.int32)))
    for parameter, gradient in zip(network.trainable_params(), gradients):
        assert np.isfinite(gradient.asnumpy()).all() and np.abs(gradient.asnumpy()).max() > 0, parameter.name
    assert {p.name for p in network.trainable_params()} == {p.name for p in network.get_parameters()}

    for_inference(network)
    for length in (1, 3, 4, 5, 23, 100, 1001):
        assert network(Tensor(noise(2, length))).shape == (2, speakers, length)


def test_unknown_and_known_shapes_agree():
    dynamic, static = for_inference(build()), build().set_train(False)
    for shape in ((1, 77), (3, 200)):
        assert np.array_equal(dynamic(Tensor(noise(*shape))).asnumpy(), static(Tensor(noise(*shape))).asnumpy())


def test_rows_of_a_batch_do_not_touch():
    network = for_inference(build())
    x = noise(3, 300)
    whole = network(Tensor(x)).asnumpy()
    for i in range(3):
        assert np.abs(network(Tensor(x[i : i + 1])).asnumpy()[0] - whole[i]).max() < 1e-6


def test_estimates_scale_with_the_mixture():
    network = for_inference(build())
    x = noise(1, 500)
    assert np.abs(network(Tensor(x)).asnumpy() * 4 - network(Tensor(4 * x)).asnumpy()).max() < 1e-5


def test_softmax_masks_share_the_mixture():
    network = for_inference(build(mask_act="softmax", num_spks=3))
    x = Tensor(noise(2, 200))
    masks = network.separator(network.encoder(x)).asnumpy()
    assert np.allclose(masks.sum(1), 1, atol=1e-5)


def test_dropout_only_in_training():
    network = build(dropout=0.5)
    x = Tensor(noise(1, 200))
    network.set_train()
    dropped = network(x).asnumpy()
    network.set_train(False)
    whole = network(x).asnumpy()
    assert not np.array_equal(dropped, whole) and np.isfinite(dropped).all()
    assert np.array_equal(whole, build()(x).asnumpy())


def test_loop_and_packed_lstm_agree():
    ms.set_seed(0)
    loop = for_inference(DPRNNTasNet(TINY, "loop"))
    packed = for_inference(build())
    x = Tensor(noise(2, 400))
    assert np.abs(loop(x).asnumpy() - packed(x).asnumpy()).max() < 1e-6

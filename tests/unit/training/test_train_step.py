"""The optimizer step: clipping, l2, learning rate, and refusal of what is not finite."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.core.options import from_dict
from src.network.dprnn.model import DPRNNTasNet
from src.network.layers.dropout import seed_dropout
from src.tasks.separation.loss import PITLoss
from src.training.config import TrainConfig
from src.training.schedule import learning_rate, milestones
from src.training.train_step import TrainStep, build_optimizer, recompute

BASE = TrainConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=1,
                   l2=0.0)


def setting(**changes):
    config = dataclasses.replace(BASE, **changes)
    ms.set_seed(0)
    network = DPRNNTasNet(config)
    network.set_train()
    optimizer = build_optimizer(config, network)
    return config, network, optimizer, TrainStep(network, optimizer, config)


def batch(seed=0, rate=0.1):
    sources = np.random.default_rng(seed).normal(0, 0.1, (2, 2, 400)).astype(np.float32)
    return Tensor(sources.sum(1)), Tensor(sources), Tensor(np.array([400, 300], np.int32)), Tensor(rate, ms.float32)


def values(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def reference_gradient(network, data):
    criterion = PITLoss(2)

    def forward(mixture, sources, lengths):
        return criterion(network(mixture), sources, lengths)

    return [g.asnumpy() for g in ms.grad(forward, None, network.trainable_params())(*data[:3])]


@pytest.mark.parametrize("clip", [0.0, 1e-2, 1e6])
def test_sgd_step_is_minus_rate_times_clipped_gradient(clip):
    config, network, _, step = setting(optimizer="sgd", clip_norm=clip)
    before, gradient = values(network), reference_gradient(network, batch())
    loss, norm, finite = step(*batch())
    expected = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradient))
    assert bool(finite.asnumpy()) and float(norm.asnumpy()) == pytest.approx(expected, rel=1e-4)
    scale = min(1.0, clip / expected) if clip else 1.0
    for parameter, g in zip(network.trainable_params(), gradient):
        moved = parameter.asnumpy() - before[parameter.name]
        assert np.abs(moved + 0.1 * scale * g).max() < 1e-5, parameter.name


@pytest.mark.parametrize("rnn_type, dropout", [("LSTM", 0.3), ("GRU", 0.0)])
def test_recomputed_blocks_change_nothing(rnn_type, dropout):
    moved = []
    for count in (0, 2):
        config, network, _, step = setting(optimizer="sgd", num_layers=2, rnn_type=rnn_type, dropout=dropout)
        seed_dropout(network, 1, 0, 0)
        recompute(network, count)
        losses = [float(step(*batch(seed))[0].asnumpy()) for seed in range(3)]
        moved.append((losses, values(network)))
    assert moved[0][0] == moved[1][0]
    assert all(np.array_equal(moved[0][1][name], moved[1][1][name]) for name in moved[0][1])
    with pytest.raises(UserError, match="--recompute 3: the network has 2 blocks"):
        recompute(network, 3)


def test_l2_pulls_every_parameter():
    _, network, _, step = setting(optimizer="sgd", l2=0.5, clip_norm=0.0)
    before, gradient = values(network), reference_gradient(network, batch())
    step(*batch())
    for parameter, g in zip(network.trainable_params(), gradient):
        expected = before[parameter.name] - 0.1 * (g + 0.5 * before[parameter.name])
        assert np.abs(parameter.asnumpy() - expected).max() < 1e-5, parameter.name  # gamma and beta too


def test_learning_rate_is_the_one_given():
    _, network, _, step = setting(optimizer="sgd", clip_norm=0.0)
    for rate in (0.1, 0.0, 0.02):  # compiled once, at the first
        before, gradient = values(network), reference_gradient(network, batch())
        step(*batch(rate=rate))
        for parameter, g in zip(network.trainable_params(), gradient):
            expected = before[parameter.name] - rate * g
            assert np.abs(parameter.asnumpy() - expected).max() < 1e-5, (rate, parameter.name)
    _, network, _, step = setting()  # Adam
    for rate in (1e-2, 0.0, 1e-3):
        before = values(network)
        step(*batch(rate=rate))
        moved = max(np.abs(before[k] - v).max() for k, v in values(network).items())
        assert moved <= 2.5 * rate and moved >= 0.5 * rate


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_step_changes_nothing(bad):
    _, network, optimizer, step = setting()
    step(*batch())
    before = values(network) | {p.name: p.asnumpy().copy() for p in optimizer.get_parameters()}
    mixture, sources, lengths, rate = batch()
    broken = sources.asnumpy().copy()
    broken[0, 0, 5] = bad
    _, _, finite = step(mixture, Tensor(broken), lengths, rate)
    after = values(network) | {p.name: p.asnumpy().copy() for p in optimizer.get_parameters()}
    assert not bool(finite.asnumpy())
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert bool(step(*batch())[2].asnumpy())


def test_loss_falls():
    _, _, _, step = setting()
    losses = [float(step(*batch(rate=1e-2))[0].asnumpy()) for _ in range(60)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 3


def test_schedules():
    original = TrainConfig()
    rates = [learning_rate(original, e) for e in (0, 14, 15, 44, 45, 74, 75, 99)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4, 1.25e-4, 1.25e-4])
    paper = dataclasses.replace(original, schedule="exponential", lr_decay=0.98, decay_epochs=2)
    assert [learning_rate(paper, e) for e in (0, 1, 2, 5)] == pytest.approx([1e-3, 1e-3, 9.8e-4, 9.604e-4])
    assert learning_rate(dataclasses.replace(original, schedule="constant"), 99) == 1e-3
    for wrong in ("45,15", "a", "0,5", "3,3"):
        with pytest.raises(UserError, match="milestones"):
            milestones(from_dict(TrainConfig, {"milestones": wrong}, "test"))

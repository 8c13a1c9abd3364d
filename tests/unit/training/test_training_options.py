"""Options of the training step: accumulation, loss threshold, precision, weight average, dropout, frozen parts."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.network.dprnn.model import DPRNNTasNet
from src.network.layers.dropout import Dropout, seed_dropout
from src.tasks.separation.loss import PITLoss, UnlearntLoss
from src.training.finetune import freeze
from src.training.precision import GROW_STEPS, LossScale, set_precision
from src.training.schedule import Schedule
from src.training.train_step import build_optimizer, build_step
from src.training.weight_average import WeightAverage
from src.weights.checkpoint import own_parameters
from tests.unit.training.test_train_step import BASE, reference_gradient, values


def setting(amp="none", draws_done=0, rank=0, frozen="", **changes):
    config = dataclasses.replace(BASE, amp=amp, **changes)
    ms.set_seed(0)
    network = DPRNNTasNet(config)
    network.set_train()
    set_precision(network, amp)
    freeze(network, frozen)
    seed_dropout(network, config.seed, rank, draws_done)
    optimizer = build_optimizer(config, network)
    return network, optimizer, build_step(network, optimizer, config)


def batch(rows=4, seed=0, rate=0.1):
    sources = np.random.default_rng(seed).normal(0, 0.1, (rows, 2, 400)).astype(np.float32)
    lengths = np.array([400, 300, 350, 250] * rows, np.int32)[:rows]
    return Tensor(sources.sum(1)), Tensor(sources), Tensor(lengths), Tensor(rate, ms.float32)


def farthest(one, other):
    return max(np.abs(one[name] - other[name]).max() for name in one)


@pytest.mark.parametrize("options", [dict(), dict(loss_threshold=-2.0)], ids=["plain", "threshold"])
def test_accumulated_batches_equal_a_large_one(options):
    options |= dict(optimizer="sgd", clip_norm=0.5, l2=1e-3)
    large, _, step = setting(**options)
    small, _, parts = setting(accumulate=2, **options)
    for n in range(4):
        data = list(batch(seed=n))
        if n == 1:  # a step that is skipped leaves nothing in the sums
            data[0] = data[0] * np.nan
        one, other = step(*data), parts(*data)
        for a, b in zip(one, other):
            assert float(a.asnumpy()) == pytest.approx(float(b.asnumpy()), rel=1e-5, nan_ok=True)
        assert bool(other[2].asnumpy()) == (n != 1)
    assert farthest(values(large), values(small)) <= 1e-6


def test_loss_threshold_leaves_out_what_is_learnt():
    network, _, _ = setting()
    mixture, sources, lengths, rate = batch()
    criterion = PITLoss(2)
    losses = np.array([float(criterion(network(mixture[i : i + 1]), sources[i : i + 1], lengths[i : i + 1]).asnumpy())
                       for i in range(4)])
    threshold = float(np.sort(losses)[1:3].mean())  # two above, two below
    above = Tensor(np.flatnonzero(losses > threshold).astype(np.int32))
    network, _, step = setting(optimizer="sgd", clip_norm=0.0, loss_threshold=0.0)
    before = values(network)
    gradient = reference_gradient(network, [x[above] for x in (mixture, sources, lengths)])
    # a threshold must be below zero: the rest of the loss does not care about a constant
    objective, plain, share = UnlearntLoss(2, threshold)(network(mixture), sources, lengths)
    assert float(share.asnumpy()) == 0.5 and float(plain.asnumpy()) == pytest.approx(losses.mean(), rel=1e-5)
    assert float(objective.asnumpy()) == pytest.approx(losses[losses > threshold].sum() / 4, rel=1e-5)
    network, optimizer, _ = setting(optimizer="sgd", clip_norm=0.0)
    step = build_step(network, optimizer, dataclasses.replace(BASE, optimizer="sgd", clip_norm=0.0,
                                                              loss_threshold=threshold))
    step(mixture, sources, lengths, rate)
    for parameter, g in zip(network.trainable_params(), gradient):
        assert np.abs(parameter.asnumpy() - before[parameter.name] + 0.1 * g).max() < 1e-5, parameter.name
    # all learnt: nothing moves, and that is no failure
    network, optimizer, _ = setting()
    step = build_step(network, optimizer, dataclasses.replace(BASE, loss_threshold=1000.0))
    before = values(network)
    _, norm, finite = step(mixture, sources, lengths, rate)
    assert bool(finite.asnumpy()) and float(norm.asnumpy()) == 0 and farthest(values(network), before) == 0


@pytest.mark.parametrize("amp, rnn_type", [("fp16", "LSTM"), ("bf16", "RNN")])
def test_mixed_precision_trains_with_float32_weights(amp, rnn_type):
    scale = [Tensor(1024.0, ms.float32)] if amp == "fp16" else []
    _, _, exact = setting(rnn_type=rnn_type)
    network, optimizer, step = setting(amp, rnn_type=rnn_type)
    assert {p.dtype for p in [*network.get_parameters(), *own_parameters(optimizer)]} <= {ms.float32, ms.int32}
    one, other = exact(*batch(rate=1e-2)), step(*batch(rate=1e-2), *scale)
    assert float(one[0].asnumpy()) != float(other[0].asnumpy()), "half precision was used"
    for a, b in zip(one, other):
        assert float(a.asnumpy()) == pytest.approx(float(b.asnumpy()), rel=0.05)
    losses = [float(step(*batch(rate=1e-2), *scale)[0].asnumpy()) for _ in range(30)]
    assert losses[-1] < losses[0] - 1
    if scale:
        before = values(network)
        finite = step(*batch(), Tensor(np.inf, ms.float32))[2]
        assert not bool(finite.asnumpy()) and farthest(before, values(network)) == 0


def test_loss_scale_falls_at_an_overflow_and_rises_slowly():
    scale = LossScale(8.0)
    scale.after(False)
    assert scale.value == 4
    for _ in range(GROW_STEPS):
        scale.after(True)
    assert scale.value == 8
    for _ in range(9):
        scale.after(False)
    assert scale.value == 1


def test_weight_average_is_the_exponential_mean():
    network, _, step = setting()
    average = WeightAverage(network, 0.9)
    expected = values(network)
    for n in range(1, 6):
        step(*batch(seed=n))
        share = average.share(200 * n)
        average(Tensor(share, ms.float32))
        assert share == pytest.approx(0.1)
        expected = {name: old + share * (values(network)[name] - old) for name, old in expected.items()}
    found = {name: p.asnumpy() for name, p in average.values.items()}
    assert farthest(expected, found) < 1e-6 and farthest(found, values(network)) > 1e-3
    assert WeightAverage(network, 0.999).share(1) > 0.5, "the start is soon forgotten"


def test_dropout_masks_follow_from_seed_step_and_layer():
    def masks(p, steps, **key):
        class Two(ms.nn.Cell):
            def __init__(self):
                super().__init__()
                self.one, self.other, self.next_draw = Dropout(p), Dropout(p), None

            def construct(self, x):
                self.next_draw()
                return self.one(x), self.other(x)

        network = Two()
        network.set_train()
        seed_dropout(network, **key)
        found = [[y.asnumpy() for y in network(Tensor(np.ones((50, 400), np.float32)))] for _ in range(steps)]
        network.set_train(False)
        assert (network(Tensor(np.ones((50, 400), np.float32)))[0].asnumpy() == 1).all()
        return found

    for p in (0.1, 0.5, 0.8):
        found = masks(p, 3, seed=1)
        for mask in sum(found, []):
            assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / (1 - p))}
            assert (mask == 0).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 20000))
            rows = (mask == 0).mean(1)
            assert rows.std() == pytest.approx(np.sqrt(p * (1 - p) / 400), rel=0.4), "no pattern along the rows"
    found = masks(0.5, 3, seed=1)
    flat = np.array([mask.ravel() > 0 for mask in sum(found, [])], float)
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 0.03, "steps and layers are independent"
    later = masks(0.5, 1, seed=1, draws_done=2)
    assert all(np.array_equal(a, b) for a, b in zip(found[2], later[0]))
    for key in (dict(seed=2), dict(seed=1, rank=1)):
        other = masks(0.5, 1, **key)[0]
        assert abs(np.corrcoef(found[0][0].ravel(), other[0].ravel())[0, 1]) < 0.03


def test_dropout_in_training_goes_on_where_it_was():
    whole, _, step = setting(dropout=0.3, optimizer="sgd")
    for n in range(4):
        step(*batch(seed=n))
        if n == 1:
            middle = values(whole)
    rest, _, step = setting(dropout=0.3, optimizer="sgd", draws_done=2)
    for parameter in rest.get_parameters():
        parameter.set_data(Tensor(middle[parameter.name]))
    assert [p.name for p in rest.get_parameters()] == [p.name for p in DPRNNTasNet(BASE).get_parameters()]
    for n in (2, 3):
        step(*batch(seed=n))
    assert farthest(values(whole), values(rest)) == 0


def test_frozen_parts_stay_and_have_no_state():
    network, optimizer, step = setting(frozen="encoder, separator.blocks.0.intra_rnn", l2=0.1)
    before = values(network)
    step(*batch())
    after = values(network)
    still = {name for name in before if np.array_equal(before[name], after[name])}
    assert still == {n for n in before if n.startswith(("encoder.", "separator.blocks.0.intra_rnn."))}
    assert not any("intra_rnn" in p.name for p in own_parameters(optimizer))
    for wrong, word in (("encoderr", "there are encoder"), ("encoder,separator,decoder", "nothing to train")):
        with pytest.raises(UserError, match=word):
            freeze(DPRNNTasNet(BASE), wrong)


def test_schedule_with_plateau_warm_up_and_early_stop():
    config = dataclasses.replace(BASE, schedule="plateau", patience=2, lr=1.0, lr_decay=0.5, warmup_steps=4,
                                 early_stop=5)
    schedule = Schedule(config)
    assert [schedule.rate(0, step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    rates, stopped = [], []
    for better in (True, False, False, False, True, False, False, False, False, False):
        notice = schedule.after_validation(better)
        rates.append(schedule.rate(3, 99))
        stopped.append(schedule.stopped)
        assert bool(notice) == (len(rates) > 1 and rates[-1] < rates[-2])
        again = Schedule(config)
        again.state = dict(schedule.state)
        assert again.rate(3, 99) == rates[-1]
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert stopped == [False] * 9 + [True]
    piecewise = Schedule(dataclasses.replace(BASE, lr=1.0, warmup_steps=10))
    assert piecewise.rate(15, 4) == 0.25 and piecewise.rate(15, 10) == 0.5

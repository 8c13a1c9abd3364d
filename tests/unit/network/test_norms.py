"""Norms against float64 definitions."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.network.layers.norms import build_norm

SHAPES = [(2, 9, 5), (2, 6, 4, 5)]


def definition(name, x):
    """Normalised x [B, T, ..., C] without gain and bias."""
    axes = tuple(range(1, x.ndim))
    if name == "gln":
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    elif name == "ln":
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    else:
        past = [x[:, : t + 1] for t in range(x.shape[1])]
        mean = np.concatenate([p.mean(axes, keepdims=True) for p in past], 1)
        var = np.concatenate([p.var(axes, keepdims=True) for p in past], 1)
    return (x - mean) / np.sqrt(var + 1e-8)


@pytest.mark.parametrize("name", ["gln", "cln", "ln"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_definition_and_gradient(name, shape):
    rng = np.random.default_rng(0)
    norm = build_norm(name, shape[-1])
    gain, bias = rng.normal(size=(2, shape[-1])).astype(np.float32)
    norm.gamma.set_data(Tensor(gain))
    norm.beta.set_data(Tensor(bias))
    x = rng.normal(0.3, 2.0, shape).astype(np.float32)
    assert np.abs(norm(Tensor(x)).asnumpy() - (definition(name, x.astype(np.float64)) * gain + bias)).max() < 1e-4

    weight = rng.normal(size=shape).astype(np.float32)

    def scalar(value):
        return (norm(value) * Tensor(weight)).sum()

    along_x, gradients = ms.grad(scalar, 0, norm.trainable_params())(Tensor(x))
    normed = definition(name, x.astype(np.float64))
    axes = tuple(range(len(shape) - 1))
    for direction in rng.normal(size=(3, *shape)):
        ends = [(definition(name, x + sign * 1e-4 * direction) * gain * weight).sum() for sign in (1, -1)]
        assert (along_x.asnumpy() * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3, abs=1e-3)
    assert len(gradients) == 2
    assert np.allclose(gradients[0].asnumpy(), (weight * normed).sum(axes), atol=1e-3)
    assert np.allclose(gradients[1].asnumpy(), weight.sum(axes), atol=1e-4)


def test_cumulative_norm_is_causal():
    norm = build_norm("cln", 4)
    x = np.random.default_rng(0).normal(size=(1, 10, 4)).astype(np.float32)
    changed = x.copy()
    changed[:, 7:] += 5
    a, b = norm(Tensor(x)).asnumpy(), norm(Tensor(changed)).asnumpy()
    assert np.array_equal(a[:, :7], b[:, :7]) and not np.allclose(a[:, 7:], b[:, 7:])


def test_constant_input_stays_finite():
    for name in ("gln", "cln", "ln"):
        assert np.isfinite(build_norm(name, 3)(Tensor(np.full((1, 5, 3), 1e3, np.float32))).asnumpy()).all()

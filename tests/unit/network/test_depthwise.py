"""The depthwise convolution against its definition, and its gradients against differences, for every length."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.network.layers.depthwise import Depthwise


def by_definition(x, weight, bias, dilation, causal):
    """[B, T, C] in double precision, one output at a time."""
    reach = (weight.shape[2] - 1) * dilation
    before = reach if causal else reach // 2
    out = np.tile(bias.astype(np.float64), (*x.shape[:2], 1))
    for t in range(x.shape[1]):
        for tap in range(weight.shape[2]):
            source = t + tap * dilation - before
            if 0 <= source < x.shape[1]:
                out[:, t] += x[:, source].astype(np.float64) * weight[:, 0, tap]
    return out


@pytest.mark.parametrize("taps, dilation, causal", [(3, 1, False), (3, 4, False), (3, 8, True), (5, 2, False),
                                                    (2, 3, True), (2, 1, False), (1, 1, False)])
def test_equals_the_definition(taps, dilation, causal):
    layer = Depthwise(5, taps, dilation, causal)
    layer.set_inputs(Tensor(shape=[None, None, 5], dtype=ms.float32))
    rng = np.random.default_rng(0)
    weight, bias = layer.weight.asnumpy(), layer.bias.asnumpy()
    assert np.abs(weight).max() <= 1 / np.sqrt(taps) and len(set(bias)) == 5
    for shape in ((1, 1), (2, 3), (3, 40)):
        x = rng.normal(size=(*shape, 5)).astype(np.float32)
        found = layer(Tensor(x)).asnumpy()
        assert found.shape == x.shape
        assert np.abs(found - by_definition(x, weight, bias, dilation, causal)).max() < 1e-5


@pytest.mark.parametrize("taps, dilation, causal", [(3, 2, False), (3, 2, True), (4, 3, False), (1, 1, False)])
def test_gradients(taps, dilation, causal):
    layer = Depthwise(4, taps, dilation, causal)
    rng = np.random.default_rng(1)
    x, factor = (rng.normal(size=(2, 9, 4)).astype(np.float32) for _ in range(2))

    def product(x, factor):
        return (layer(x) * factor).sum()

    step = ms.jit(ms.value_and_grad(product, 0, layer.trainable_params()))
    _, (dx, (dweight, dbias)) = step(Tensor(x), Tensor(factor))
    weight, bias = layer.weight.asnumpy(), layer.bias.asnumpy()

    def value(x, weight, bias):
        return (by_definition(x, weight, bias, dilation, causal) * factor).sum()

    for found, place in ((dx, 0), (dweight, 1), (dbias, 2)):
        for _ in range(6):  # linear in each: a difference of one is exact
            values = [x.copy(), weight.copy(), bias.copy()]
            at = tuple(rng.integers(size) for size in values[place].shape)
            values[place][at] += 1
            wanted = value(*values) - value(x, weight, bias)
            assert abs(found.asnumpy()[at] - wanted) < 1e-4 * max(1, abs(wanted))

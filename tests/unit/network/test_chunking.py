"""Splitting and its adjoint, over even and odd sizes."""

import numpy as np
import pytest
from mindspore import Tensor

from src.network.layers.chunking import overlap_add, span, split

SIZES = [(2, 5), (3, 4), (4, 1), (5, 3), (7, 2), (10, 6), (50, 3)]


@pytest.mark.parametrize("size, count", SIZES)
def test_split_is_windows(size, count):
    x = np.random.default_rng(0).normal(size=(2, span(size, count), 3)).astype(np.float32)
    got = split(Tensor(x), size, count).asnumpy()
    hop = size // 2
    assert np.array_equal(got, np.stack([x[:, i * hop : i * hop + size] for i in range(count)], 1))


@pytest.mark.parametrize("size, count", SIZES)
def test_overlap_add_is_the_adjoint(size, count):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, span(size, count), 3)).astype(np.float32)
    y = rng.normal(size=(2, count, size, 3)).astype(np.float32)
    back = overlap_add(Tensor(y), size).asnumpy()
    assert back.shape == x.shape
    expected = np.zeros(x.shape)
    for i in range(count):
        expected[:, i * (size // 2) : i * (size // 2) + size] += y[:, i]
    assert np.abs(back - expected).max() < 1e-5
    # <split(x), y> == <x, overlap_add(y)>
    assert np.vdot(split(Tensor(x), size, count).asnumpy(), y) == pytest.approx(np.vdot(x, back), abs=1e-2)


@pytest.mark.parametrize("size", [2, 4, 10])
def test_half_overlap_doubles_the_middle(size):
    x = np.random.default_rng(2).normal(size=(1, span(size, 8), 1)).astype(np.float32)
    twice = overlap_add(split(Tensor(x), size, 8), size).asnumpy()
    hop = size // 2
    assert np.allclose(twice[:, hop:-hop], 2 * x[:, hop:-hop])

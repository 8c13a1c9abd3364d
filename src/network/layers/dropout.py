"""Dropout whose masks are a function of (seed, step, layer) alone, so that a resumed run draws the same ones."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

GOLDEN = 0x9E3779B1  # odd, 2**32 over the golden ratio: consecutive keys land far apart


def signed(number):
    """The int32 with the lower 32 bits of ``number``."""
    return int(np.uint32(number & 0xFFFFFFFF).astype(np.int32))


class Dropout(nn.Cell):
    """Zeros a share ``p`` of the values while training and scales up the rest.

    The mask is a hash of (seed, draw, layer, index), in int32 arithmetic that wraps around: the mixer is "lowbias32" of
    C. Wellons' hash prospector. :func:`seed_dropout` must come before the first use in training.
    """

    def __init__(self, p):
        super().__init__()
        self.factor = 1 / (1 - p)
        self.limit = signed(round(p * 2**32) - 2**31)
        self.key = None

    def construct(self, x):
        if not self.training:
            return x
        if self.key is None:
            raise RuntimeError("seed_dropout must come before training with dropout")
        bits = mix(ops.arange(0, x.size, 1, dtype=ms.int32) * signed(GOLDEN) + self.key())
        return x * ops.reshape((bits >= self.limit).astype(x.dtype) * self.factor, x.shape)


def build_dropout(p):
    """A dropout layer, nothing where ``p`` is 0."""
    return Dropout(p) if p else nn.Identity()


def mix(x):
    """A permutation of int32 in which every bit depends on all."""
    x = shift_xor(x, 16) * signed(0x7FEB352D)
    x = shift_xor(x, 15) * signed(0x846CA68B)
    return shift_xor(x, 16)


def shift_xor(x, places):
    """x ^ (x >> places), with zeros shifted in."""
    shifted = ops.bitwise_right_shift(x, ops.full_like(x, places))
    return ops.bitwise_xor(x, ops.bitwise_and(shifted, ops.full_like(x, (1 << (32 - places)) - 1)))


def seed_dropout(network, seed, rank=0, draws_done=0):
    """Tell a network's dropout layers which masks to draw, and the training step which counter to move on.

    Args:
        network (DPRNNTasNet): gets ``next_draw``, which must be called before each gradient.
        seed (int), rank (int): of this process.
        draws_done (int): how many gradients have been computed before.
    """
    layers = [cell for _, cell in network.cells_and_names() if isinstance(cell, Dropout)]
    if not layers:
        return
    draws = Parameter(Tensor(draws_done, ms.int32), name="dropout_draws", requires_grad=False)
    for number, cell in enumerate(layers):
        cell.key = _key(draws, signed(((seed * 1000003 + rank) * 8191 + number) * 0x85EBCA6B))

    def advance():
        ops.assign_add(draws, 1)

    network.next_draw = advance


def _key(draws, offset):
    # A closure: as an attribute of a Cell the counter would become one of the weights.
    def key():
        return mix(draws * signed(GOLDEN) + offset)

    return key


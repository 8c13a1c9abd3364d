"""Learned encoder and decoder of TasNet: a strided convolution and its transpose, as matrix products over frames."""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, initializer

from src.network.layers.chunking import overlap_add, pad_time, span, split
from src.network.layers.linear import Projection


def at_least_zero(number):
    """max(number, 0) for |number| < 2**30, by arithmetic: max() of an unknown length loses its type in graph mode."""
    return number * (1 + number // 2**30)


class Filterbank(nn.Cell):
    """Weights [filters, kernel_size], Xavier-normal as a convolution with one channel."""

    def __init__(self, filters, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        sigma = math.sqrt(2 / (kernel_size + filters * kernel_size))
        self.project = Projection()
        self.weight = Parameter(initializer(Normal(sigma), (filters, kernel_size), ms.float32), name="weight")


class Encoder(Filterbank):
    """[B, T] samples -> [B, L, N] with L = (T - kernel_size) // stride + 1, stride half the kernel.

    A trailing piece shorter than a stride gives no frame; an input shorter than the kernel is padded to one frame.
    """

    def construct(self, x):
        size = self.kernel_size
        frames = at_least_zero(x.shape[1] - size) // (size // 2) + 1
        x = pad_time(x[:, :, None], 0, size)[:, : span(size, frames)]
        return self.project(split(x, size, frames)[..., 0], self.weight)


class Decoder(Filterbank):
    """[B, C, L, N] -> [B, C, length] by overlap-add; samples no frame reaches are zero."""

    def construct(self, x, length):
        size = self.kernel_size
        batch, speakers, frames, _ = x.shape
        windows = ops.reshape(self.project(x, self.weight.T), (batch * speakers, frames, size, 1))
        wave = pad_time(overlap_add(windows, size), 0, size)
        return ops.reshape(wave[:, :length], (batch, speakers, length))

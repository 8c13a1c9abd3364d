"""Depthwise convolution along time, dilated: a filter of few taps for each channel."""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Uniform, initializer

from src.network.layers.chunking import pad_time
from src.network.layers.lengths import padding
from src.network.layers.linear import AddBias


class Depthwise(nn.Cell):
    """[B, T, C] -> [B, T, C]. Weight [C, 1, taps] and bias [C], both uniform within 1/sqrt(taps) as PyTorch's.

    A sum of shifted products on every device. MindSpore's CPU convolution falls to a reference kernel, 50 to 250 times
    slower.
    """

    def __init__(self, channels, taps, dilation=1, causal=False):
        super().__init__()
        bound = Uniform(1 / math.sqrt(taps))
        self.weight = Parameter(initializer(bound, (channels, 1, taps), ms.float32), name="weight")
        self.bias = Parameter(initializer(bound, (channels,), ms.float32), name="bias")
        self.products, self.add_bias = ShiftedProducts(taps, dilation, causal), AddBias()

    def construct(self, x):
        return self.add_bias(self.products(x, self.weight), self.bias)


class ShiftedProducts(nn.Cell):
    """x [B, T, C], weight [C, 1, taps]: the sum over taps of shifted x times the tap's row of the weight.

    Nothing here broadcasts in arithmetic, which on CPU keeps 16 bytes of index for each value: rows are spread first,
    and sums over time are products with ones.
    """

    def __init__(self, taps, dilation, causal):
        super().__init__()
        self.taps, self.dilation = taps, dilation
        self.before, self.after = padding(taps, dilation, causal)

    def construct(self, x, weight):
        return self.sum_of(pad_time(x, self.before, self.after), self.rows(weight), x)

    def bprop(self, x, weight, out, dout):
        """Gradients for x and weight."""
        rows = self.rows(weight)
        channels, frames = x.shape[2], x.shape[1]
        dx = self.sum_of(pad_time(dout, self.after, self.before), rows[::-1], x)
        padded, grads = pad_time(x, self.before, self.after), ()
        for tap in range(self.taps):
            start = tap * self.dilation
            product = ops.reshape(dout * padded[:, start : start + frames], (-1, channels))
            grads = grads + (ops.matmul(ops.ones((1, product.shape[0]), product.dtype), product),)
        return dx, ops.reshape(ops.concat(grads, 0).T, weight.shape)

    def rows(self, weight):
        """[C] for each tap."""
        by_tap, rows = ops.reshape(weight, (-1, self.taps)).T, ()
        for tap in range(self.taps):
            rows = rows + (by_tap[tap],)
        return rows

    def sum_of(self, padded, rows, like):
        """Shifted products of a padded signal, of the shape of ``like``."""
        frames, out = like.shape[1], None
        for tap in range(self.taps):
            start = tap * self.dilation
            part = padded[:, start : start + frames] * ops.broadcast_to(rows[tap], like.shape)
            out = part if tap == 0 else out + part
        return out

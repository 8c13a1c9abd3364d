"""Layer norms of separation networks, channel-last, all with trainable gain and bias.

Input [B, T, C] or, chunked, [B, S, K, C]: axis 1 is time (frames or chunks), the last axis is channels.
"""

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

EPS = 1e-8


class _LayerNorm(nn.Cell):
    """Gain ``gamma`` [C] and bias ``beta`` [C], one pair per channel."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = Parameter(initializer("ones", (channels,), ms.float32), name="gamma")
        self.beta = Parameter(initializer("zeros", (channels,), ms.float32), name="beta")


class GlobalLayerNorm(_LayerNorm):
    """gLN: mean and variance over time and channels of one utterance (Luo & Mesgarani 2019, arXiv 1809.07454, eq. 9).

    The fused LayerNorm kernel with the gain spread over time is the same function as the composite form at half
    the time and without its intermediate tensors.
    """

    def __init__(self, channels):
        super().__init__(channels)
        self.layer_norm = ops.LayerNorm(1, 1, EPS)

    def construct(self, x):
        shape = x.shape[1:]
        return self.layer_norm(x, ops.broadcast_to(self.gamma, shape), ops.broadcast_to(self.beta, shape))[0]


class ChannelLayerNorm(_LayerNorm):
    """ln: mean and variance over the channels of each frame."""

    def __init__(self, channels):
        super().__init__(channels)
        self.layer_norm = ops.LayerNorm(-1, -1, EPS)

    def construct(self, x):
        return self.layer_norm(x, self.gamma, self.beta)[0]


class CumulativeLayerNorm(_LayerNorm):
    """cLN: at each time the mean and variance of everything up to then (Luo & Mesgarani 2019, eq. 11).

    On chunked input a step is a whole chunk: the intra-chunk RNN sees the chunk in both directions anyway.
    """

    def construct(self, x):
        batch, steps, channels = x.shape[0], x.shape[1], x.shape[-1]
        flat = ops.reshape(x, (batch, steps, -1))  # [B, T, values per step]
        values = flat.shape[2]
        count = ops.cumsum(ops.ones((1, steps, 1), x.dtype), 1) * values
        mean = ops.cumsum(ops.sum(flat, 2, keepdim=True), 1) / count
        power = ops.cumsum(ops.sum(flat * flat, 2, keepdim=True), 1) / count
        variance = ops.relu(power - mean * mean)  # rounding can push it below zero
        normed = ops.reshape((flat - mean) * ops.rsqrt(variance + EPS), (batch, steps, -1, channels))
        return ops.reshape(normed * self.gamma + self.beta, x.shape)


NORMS = {"gln": GlobalLayerNorm, "cln": CumulativeLayerNorm, "ln": ChannelLayerNorm}


def build_norm(name, channels):
    """A norm by its config name: gln, cln or ln."""
    return NORMS[name](channels)

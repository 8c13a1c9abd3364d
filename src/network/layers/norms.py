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
    """gLN: mean and variance over time and channels of an utterance (Luo & Mesgarani 2019, arXiv 1809.07454, eq. 9)."""

    def __init__(self, channels):
        super().__init__(channels)
        self.normalise = WholeNorm()

    def construct(self, x):
        return self.normalise(x, self.gamma, self.beta)[0]


class WholeNorm(nn.Cell):
    """Normalise over all axes but the first, then gain [C] and bias [C] per channel: (output, mean, variance).

    The fused LayerNorm kernel with the gain spread over time is the same function as the composite form at half the
    time and without its intermediate tensors. Its own gradient is not used: it sums over the batch for each time and
    channel, where sums over time for each channel are wanted, and takes several times as long.
    """

    def __init__(self):
        super().__init__()
        self.layer_norm = ops.LayerNorm(1, 1, EPS)

    def construct(self, x, gamma, beta):
        shape = x.shape[1:]
        return self.layer_norm(x, ops.broadcast_to(gamma, shape), ops.broadcast_to(beta, shape))

    def bprop(self, x, gamma, beta, out, dout):
        """Gradients for x, gamma and beta.

        Sums over time and the spreading of a row over time are products with ones: on CPU those are faster than
        ReduceSum and than arithmetic that broadcasts, which keeps 16 bytes of index for each value.
        """
        batch, channels = x.shape[0], x.shape[-1]
        row = (batch, 1, channels)
        dy = ops.reshape(dout[0], (batch, -1, channels))
        steps = dy.shape[1]
        ones, over_time = ops.ones((batch, 1, steps), dy.dtype), ops.ones((batch, steps, 1), dy.dtype)
        shift = ops.broadcast_to(ops.reshape(-out[1], (batch, 1, 1)), row)
        centred = ops.reshape(x, dy.shape) + ops.bmm(over_time, shift)
        scale = ops.rsqrt(ops.reshape(out[2], (batch, 1, 1)) + EPS)
        along = ops.bmm(ones, dy)  # [B, 1, C]
        across = ops.bmm(ones, dy * centred) * scale
        mean_along = ops.sum(along * gamma, 2, keepdim=True) / (steps * channels)
        mean_across = ops.sum(across * gamma, 2, keepdim=True) / (steps * channels)
        dx = dy * ops.bmm(over_time, scale * gamma)
        dx = dx - centred * ops.bmm(over_time, ops.broadcast_to(scale * scale * mean_across, row))
        dx = dx - ops.bmm(over_time, ops.broadcast_to(scale * mean_along, row))
        return ops.reshape(dx, x.shape), ops.sum(across, (0, 1)), ops.sum(along, (0, 1))


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

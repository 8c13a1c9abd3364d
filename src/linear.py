"""Dense layers over the last axis, which is what 1x1 convolutions are channel-last."""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Uniform, initializer


def project(x, weight):
    """[..., inputs] times weight [outputs, inputs] transposed: [..., outputs], in the weight's precision, back in x's.

    Flattened to one matrix product: MindSpore's matmul on more axes runs a small product for each leading index,
    dozens of times slower. Computed in the weight's precision (fp16 in a half-precision export), returned in x's.
    """
    flat = ops.matmul(ops.reshape(x, (-1, x.shape[-1])).astype(weight.dtype), weight.T)
    return ops.reshape(flat, x.shape[:-1] + (weight.shape[0],)).astype(x.dtype)


def rounded(x, kind):
    """x with the digits that ``kind`` has, in its own type."""
    return x.astype(kind).astype(x.dtype)


class Linear(nn.Cell):
    """Weight [outputs, inputs], bias [outputs], both uniform within 1/sqrt(inputs) as PyTorch's.

    ``product_type`` is the precision of the product, ``rounding`` that of its factors alone, see src/precision.py.
    """

    product_type = rounding = None

    def __init__(self, inputs, outputs, has_bias=True):
        super().__init__()
        bound = Uniform(1 / math.sqrt(inputs))
        self.has_bias = has_bias
        self.weight = Parameter(initializer(bound, (outputs, inputs), ms.float32), name="weight")
        if has_bias:
            self.bias = Parameter(initializer(bound, (outputs,), ms.float32), name="bias")

    def construct(self, x):
        weight = self.weight
        if self.product_type is not None:
            weight = weight.astype(self.product_type)
        if self.rounding is not None:
            x, weight = rounded(x, self.rounding), rounded(weight, self.rounding)
        x = project(x, weight)
        if self.has_bias:
            x = x + self.bias
        return x

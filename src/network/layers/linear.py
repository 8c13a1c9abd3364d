"""Dense layers over the last axis, which is what 1x1 convolutions are channel-last."""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Uniform, initializer


class Projection(nn.Cell):
    """[..., inputs] times weight [outputs, inputs] transposed: [..., outputs], in the weight's precision, back in x's.

    Flattened to one matrix product: MindSpore's matmul on more axes runs a small product for each leading index,
    dozens of times slower. Computed in the weight's precision (fp16 in a half-precision export), returned in x's.
    """

    def __init__(self):
        super().__init__()
        self.product = Product()

    def construct(self, x, weight):
        flat = self.product(ops.reshape(x, (-1, x.shape[-1])).astype(weight.dtype), weight)
        return ops.reshape(flat, x.shape[:-1] + (weight.shape[0],)).astype(x.dtype)


class Product(nn.Cell):
    """x [rows, inputs] times weight [outputs, inputs] transposed.

    Its gradient for the weight is one product that reads x transposed. MindSpore's own writes the transpose first,
    which takes twice as long and, on CPU, eight bytes of index for each value.
    """

    def __init__(self):
        super().__init__()
        self.first_transposed = ops.MatMul(transpose_a=True)

    def construct(self, x, weight):
        return ops.matmul(x, weight.T)

    def bprop(self, x, weight, out, dout):
        """Gradients for x and weight."""
        return ops.matmul(dout, weight), self.first_transposed(dout, x)


class AddBias(nn.Cell):
    """x [..., outputs] plus bias [outputs].

    On CPU an addition that broadcasts keeps 16 bytes of index for each value; BiasAdd, and a product with ones for the
    sum in its gradient, keep nothing and are faster.
    """

    def __init__(self):
        super().__init__()
        self.add = ops.BiasAdd()

    def construct(self, x, bias):
        return ops.reshape(self.add(ops.reshape(x, (-1, x.shape[-1])), bias), x.shape)

    def bprop(self, x, bias, out, dout):
        """Gradients for x and bias."""
        rows = ops.reshape(dout, (-1, bias.shape[0]))
        return dout, ops.reshape(ops.matmul(ops.ones((1, rows.shape[0]), dout.dtype), rows), (-1,))


def rounded(x, kind):
    """x with the digits that ``kind`` has, in its own type."""
    return x.astype(kind).astype(x.dtype)


class Linear(nn.Cell):
    """Weight [outputs, inputs], bias [outputs], both uniform within 1/sqrt(inputs) as PyTorch's.

    ``product_type`` is the precision of the product, ``rounding`` that of its factors alone, see precision.py.
    """

    product_type = rounding = None

    def __init__(self, inputs, outputs, has_bias=True):
        super().__init__()
        bound = Uniform(1 / math.sqrt(inputs))
        self.has_bias = has_bias
        self.weight = Parameter(initializer(bound, (outputs, inputs), ms.float32), name="weight")
        self.project = Projection()
        if has_bias:
            self.add_bias = AddBias()
            self.bias = Parameter(initializer(bound, (outputs,), ms.float32), name="bias")

    def construct(self, x):
        weight = self.weight
        if self.product_type is not None:
            weight = weight.astype(self.product_type)
        if self.rounding is not None:
            x, weight = rounded(x, self.rounding), rounded(weight, self.rounding)
        x = self.project(x, weight)
        if self.has_bias:
            x = self.add_bias(x, self.bias)
        return x

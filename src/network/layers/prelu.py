"""PReLU (He et al. 2015, arXiv 1502.01852)."""

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

SLOPE = 0.25


class PReLU(nn.Cell):
    """One slope for all channels, trained."""

    def __init__(self):
        super().__init__()
        self.weight = Parameter(initializer(SLOPE, (1,), ms.float32), name="weight")

    def construct(self, x):
        return ops.relu(x) - self.weight * ops.relu(-x)

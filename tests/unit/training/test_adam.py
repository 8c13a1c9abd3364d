"""Adam against its paper's formula in double precision, for gradients of every size."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.training.adam import Adam


class Step(nn.Cell):
    def __init__(self, optimizer):
        super().__init__()

        def update(gradients):
            return optimizer(gradients)

        self.update = update

    def construct(self, *gradients):
        return self.update(gradients)


@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_follows_the_paper(l2):
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape) for shape in ((5,), (2, 3))]
    sizes = [10.0 ** np.array([-9, -8, -7, -3, 0]), 10.0 ** np.array([[-8, -7, -6], [-5, -2, 1]])]
    parameters = [Parameter(Tensor(w.astype(np.float32)), name=f"w{i}") for i, w in enumerate(starts)]
    step = Step(Adam([{"params": parameters, "weight_decay": l2}], 1e-3))
    moments = [[0.0, 0.0] for _ in starts]
    for t in range(1, 31):
        gradients = [(rng.normal(size=size.shape) * size).astype(np.float32) for size in sizes]
        step(*(Tensor(g) for g in gradients))
        for i, gradient in enumerate(gradients):
            g = gradient.astype(np.float64) + l2 * starts[i]
            moments[i] = [0.9 * moments[i][0] + 0.1 * g, 0.999 * moments[i][1] + 0.001 * g**2]
            first, second = moments[i][0] / (1 - 0.9**t), moments[i][1] / (1 - 0.999**t)
            starts[i] = starts[i] - 1e-3 * first / (np.sqrt(second) + 1e-8)
    for parameter, wanted in zip(parameters, starts):
        assert np.abs(parameter.asnumpy() - wanted).max() < 2e-6

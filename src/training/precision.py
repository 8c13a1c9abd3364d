"""Mixed precision: the separator's matrix products in half precision, everything else in float32.

Weights stay float32 and are cast as they are used, so gradients, clipping, the optimizer and checkpoints are float32,
and so are norms, activations, the loss, encoder and decoder. CPU's and Ascend's fused RNN kernels are as they are
(float32 and fp16); the RNN as a loop over time follows ``amp``. A CPU multiplies no bf16: there the factors are rounded
to it and multiplied in float32, which gives the same digits and saves no time.
"""

import mindspore as ms

from src.network.layers.linear import Linear
from src.network.layers.rnn import TimeLoop

TYPES = {"fp16": ms.float16, "bf16": ms.bfloat16}
GROW_STEPS = 2000  # good steps before a larger loss scale is tried
MOST_SCALE = 2.0**24


def set_precision(network, amp):
    """Let the separator's matrix products run in ``amp`` (none, fp16 or bf16)."""
    for _, cell in network.separator.cells_and_names():
        if isinstance(cell, (Linear, TimeLoop)):
            if amp == "bf16" and ms.get_context("device_target") == "CPU":
                cell.rounding = ms.bfloat16
            else:
                cell.product_type = TYPES.get(amp)


class LossScale:
    """Factor of the loss that keeps small fp16 gradients from vanishing: halved at an overflow, doubled now and then.

    (Micikevicius et al. 2018, arXiv 1710.03740, section 3.2.)
    """

    def __init__(self, value):
        self.value, self.good = value, 0

    def after(self, finite):
        """Take note of a step."""
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value = max(1.0, self.value / 2)
        elif self.good == GROW_STEPS:
            self.value, self.good = min(MOST_SCALE, 2 * self.value), 0

"""Several processes that train one model: who am I, and sums over all of us.

``msrun`` starts them (src/distributed/launch.py); each holds the whole model and its share of every batch.
"""

import os

import numpy as np
from mindspore import Tensor, nn, ops

from src.core.errors import UserError
from src.core.signals import end_with_parent


class _Sum(nn.Cell):
    def __init__(self):
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, x):
        return self.all_reduce(x)


class World:
    """One of ``size`` processes, number ``rank``. Alone, every method gives back what it got."""

    def __init__(self, rank=0, size=1):
        self.rank, self.size = rank, size
        self.lead = rank == 0  # the one that writes files and speaks
        self.total = _Sum() if size > 1 else None

    def sum(self, values):
        """Sum over all processes of a numeric array, float32; adding zeros is exact."""
        values = np.ascontiguousarray(values, np.float32)
        return values if self.size == 1 else self.total(Tensor(values)).asnumpy()

    def any(self, *flags):
        """For each flag, whether some process has it set."""
        return list(flags) if self.size == 1 else [bool(count) for count in self.sum(flags)]

    def check_same(self, number, what):
        """All processes must come with the same ``number`` (below 2**32), and none goes on before all did.

        Raises:
            UserError: they differ.
        """
        # halves of 16 bits are exact in float32
        low, high = number & 0xFFFF, number >> 16
        mine = np.zeros((self.size, 2), np.float32)
        mine[self.rank] = low, high
        everyone = self.sum(mine)
        if (everyone != everyone[0]).any():
            odd = int(np.argmax((everyone != everyone[0]).any(1)))
            raise UserError(f"process {odd} of {self.size} has {what} other than those of process 0; all must see "
                            "the same files and get the same options")


def join():
    """Join the processes ``msrun`` has started. Call it before any Tensor exists; the scheduler goes no further.

    Returns:
        World: with the rank that this process has been given.
    Raises:
        UserError: not started by msrun, or the others did not come.
    """
    from mindspore.communication import get_group_size, get_rank, init

    if "MS_ROLE" not in os.environ:
        raise UserError("--distribute: this process was not started by msrun; use scripts/run_distribute_train.sh")
    end_with_parent()  # a killed msrun leaves nobody behind
    try:
        init()
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip(" -")]
        raise UserError(f"the processes of this job did not find each other or lost one "
                        f"({lines[0].strip()[:160] if lines else 'no reason given'})") from None
    return World(get_rank(), get_group_size())


def mean_over_processes(loss, share, gradients, total, size):
    """Means over processes of two numbers and of gradients, sent as one message (graph mode).

    Args:
        loss (Tensor []), share (Tensor [] or float), gradients (tuple[Tensor]): of this process.
        total (ops.AllReduce): sum over processes.
        size (int): how many they are.
    Returns:
        tuple: (loss, share, gradients), the same bits on every process.
    """
    parts = (ops.reshape(loss, (1,)), ops.reshape(share * ops.ones_like(loss), (1,)))
    for g in gradients:
        parts = parts + (ops.reshape(g, (-1,)),)
    flat = total(ops.concat(parts, 0)) / size
    means, at = (), 2
    for g in gradients:
        means = means + (ops.reshape(flat[at : at + g.size], g.shape),)
        at = at + g.size
    return flat[0], flat[1], means

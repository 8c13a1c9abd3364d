"""The tasks that a network can be trained for: a name, and the module that answers for it.

To add one, write a package with a module ``task``, and add its line here. The module has:

    SCORE                       :class:`Score` of its validation
    loader(config, world)       batches of training, each a tuple of arrays, see src/data/loading/
    criterion(config)           Cell: (outputs, *rest of a batch) -> loss, a scalar
    selective_criterion(config) Cell: the same -> (objective, loss, share of the batch that counts), where utterances
                                that are learnt already (``--loss_threshold``) give no gradient
    validator(config, world)    callable: {name: Parameter} -> (loss, score); None without validation data

A batch begins with what the network is given. All numbers of a loss or score are in the unit of SCORE.
"""

import importlib
from dataclasses import dataclass

from src.core.errors import UserError
from src.core.options import suggestion

TASKS = {"separation": "src.tasks.separation.task"}
DEFAULT = "separation"


@dataclass(frozen=True)
class Score:
    """How the result of a validation is called; of two, the higher one is better."""

    name: str
    unit: str

    def text(self, value):
        """As in ``SI-SNRi 6.38 dB``."""
        return f"{self.name} {value:.2f} {self.unit}"


def task(name, where="task"):
    """The module of a task.

    Raises:
        UserError: there is none of this name; ``where`` says who asks.
    """
    if name not in TASKS:
        raise UserError(f"{where}: no task {name!r}{suggestion(name, TASKS)}; there are {', '.join(TASKS)}")
    return importlib.import_module(TASKS[name])

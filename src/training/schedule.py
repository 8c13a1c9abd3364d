"""The learning rate of a step, when to stop, and how fast the mean of the weights moves."""

from src.core.errors import UserError


class Schedule:
    """A recipe's learning rate and patience. :attr:`state` is what a resumed run needs.

    Args:
        config (src.training.config.TrainConfig): schedule, lr, lr_decay, patience, warmup_steps, early_stop ...
    Raises:
        UserError: a list of milestones that is none.
    """

    def __init__(self, config):
        milestones(config)  # a wrong list should fail now, not at its epoch
        self.config = config
        self.state = {"factor": 1.0, "waited": 0, "without_better": 0}

    def rate(self, epoch, step):
        """Learning rate of the optimizer step after ``step`` others, in the 0-based ``epoch``."""
        warm = min(1.0, (step + 1) / self.config.warmup_steps) if self.config.warmup_steps else 1.0
        return learning_rate(self.config, epoch) * self.state["factor"] * warm

    def after_validation(self, better):
        """Take note of a validation; returns what follows from it in words, or None."""
        state, config = self.state, self.config
        state["without_better"] = 0 if better else state["without_better"] + 1
        state["waited"] = 0 if better else state["waited"] + 1
        if config.schedule == "plateau" and state["waited"] >= config.patience:
            state["waited"], state["factor"] = 0, state["factor"] * config.lr_decay
            return (f"no better validation in {config.patience} validations: "
                    f"learning rate {config.lr * state['factor']:.3g} from here")
        return None

    @property
    def stopped(self):
        """Whether there has been no better validation for too long."""
        return bool(self.config.early_stop) and self.state["without_better"] >= self.config.early_stop


def learning_rate(config, epoch):
    """Rate of 0-based ``epoch`` under the recipe's schedule.

    piecewise: times ``lr_decay`` at each milestone passed (the original: halved after epochs 15, 45 and 75);
    exponential: times ``lr_decay`` every ``decay_epochs`` (the paper: 0.98 every 2); constant, plateau: ``lr``.
    """
    if config.schedule == "piecewise":
        return config.lr * config.lr_decay ** sum(epoch >= m for m in milestones(config))
    if config.schedule == "exponential":
        return config.lr * config.lr_decay ** (epoch // config.decay_epochs)
    return config.lr


def milestones(config):
    """The piecewise schedule's epochs, ascending.

    Raises:
        UserError: not a comma-separated list of ascending whole numbers.
    """
    try:
        epochs = [int(word) for word in str(config.milestones).split(",") if word.strip()]
    except ValueError:
        epochs = [0]
    if any(e <= 0 for e in epochs) or sorted(set(epochs)) != epochs:
        raise UserError(f"--milestones must be ascending epochs such as 15,45,75, got {config.milestones!r}")
    return epochs


def average_share(decay, step):
    """Share of the newest weights in their running mean in step 1, 2, ...: large at first, so that the mean soon
    forgets where it began."""
    return max(1 - decay, 9 / (10 + step))

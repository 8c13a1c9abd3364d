"""The learning rate of an epoch."""

from src.errors import UserError


def learning_rate(config, epoch):
    """Rate of 0-based ``epoch`` under the recipe's schedule.

    piecewise: times ``lr_decay`` at each milestone passed (the original: halved after epochs 15, 45 and 75);
    exponential: times ``lr_decay`` every ``decay_epochs`` (the paper: 0.98 every 2); constant: ``lr``.
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

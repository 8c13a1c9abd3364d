"""One optimizer step: gradient, mean over devices, clip, update, and refusal of what is not finite."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from src.core.errors import UserError
from src.distributed.world import mean_over_processes
from src.network.registry import family_of
from src.tasks.registry import task
from src.training.adam import Adam


def build_optimizer(config, network):
    """Adam or SGD over every parameter that is trained, l2 added to the gradient; each step is given its rate."""
    parameters = network.trainable_params()
    # One group with its own weight decay: MindSpore otherwise leaves out names with "gamma" and "beta".
    groups = [{"params": parameters, "weight_decay": config.l2}]
    if config.optimizer == "sgd":
        return nn.Momentum(groups, config.lr, config.momentum)
    return Adam(groups, config.lr)


def recompute(network, count):
    """Let ``count`` blocks of a network run again for the gradient instead of keeping what it needs of them.

    Raises:
        UserError: the network has fewer, or its family cannot do this.
    """
    if not count:
        return
    if family_of(network.config).recompute is None:
        raise UserError(f"--recompute {count}: the network family {network.config.family} has no blocks to run again")
    family_of(network.config).recompute(network, count)


def build_step(network, optimizer, config, world=1):
    """The step of a recipe: :class:`TrainStep`, or :class:`AccumulatedStep` where it is made of several batches."""
    kind = TrainStep if config.accumulate == 1 else AccumulatedStep
    return kind(network, optimizer, config, world)


class Gradient(nn.Cell):
    """(mixture, sources, lengths, loss scale or None) -> (loss, share of utterances not learnt yet, gradients).

    The gradients are of the sum over the utterances not learnt yet, divided by the batch size, times the scale.
    """

    def __init__(self, network, config):
        super().__init__()
        self.plain = not config.loss_threshold and config.amp != "fp16"
        asked = task(config.task)
        criterion, unlearnt = asked.criterion(config), asked.selective_criterion(config)

        # Closures, so that network and optimizer do not become children, whose parameters would be renamed.
        def plain(mixture, sources, lengths):
            return criterion(network(mixture), sources, lengths)

        def scaled(mixture, sources, lengths, scale):
            objective, loss, share = unlearnt(network(mixture), sources, lengths)
            return objective * scale, loss, share

        weights = network.trainable_params()
        self.next_draw = network.next_draw
        self.gradient = ms.value_and_grad(plain if self.plain else scaled, None, weights, has_aux=not self.plain)

    def construct(self, mixture, sources, lengths, scale):
        if self.next_draw is not None:
            self.next_draw()
        if self.plain:
            loss, gradients = self.gradient(mixture, sources, lengths)
            return loss, 1.0, gradients
        (_, loss, share), gradients = self.gradient(mixture, sources, lengths, 1.0 if scale is None else scale)
        return loss, share, gradients


class Update(nn.Cell):
    """(loss, share, gradients, rate, loss scale or None) -> (loss, gradient norm, finite); the weights move.

    Loss, share and gradients are averaged over processes first, so that all decide alike.
    """

    def __init__(self, optimizer, config, world):
        super().__init__()
        self.world, self.clip_norm, self.threshold = world, config.clip_norm, config.loss_threshold
        self.total = ops.AllReduce() if world > 1 else None

        def step(gradients, rate):
            # Assigned here and not from outside: the compiled graph would not see that.
            ops.assign(optimizer.learning_rate, rate)
            return optimizer(gradients)

        self.step = step

    def construct(self, loss, share, gradients, rate, scale):
        if self.world > 1:
            loss, share, gradients = mean_over_processes(loss, share, gradients, self.total, self.world)
        factor = 1.0
        if self.threshold:
            factor = 1.0 / ops.maximum(share, 1e-6)
        if scale is not None:
            factor = factor / scale
        if self.threshold or scale is not None:
            scaled = ()
            for g in gradients:
                scaled = scaled + (g * factor,)
            gradients = scaled
        squares = 0.0
        for g in gradients:
            squares = squares + ops.sum(g * g)
        norm = ops.sqrt(squares)
        finite = ops.logical_and(ops.isfinite(loss), ops.isfinite(norm))
        if self.clip_norm > 0:
            scale = self.clip_norm / ops.maximum(norm, self.clip_norm)
            clipped = ()
            for g in gradients:
                clipped = clipped + (g * scale,)
            gradients = clipped
        move = finite
        if self.threshold:
            move = ops.logical_and(finite, share > 0)  # all learnt: Adam would go on by its momentum
        if move:
            self.step(gradients, rate)
        return loss, norm, finite


class TrainStep(nn.Cell):
    """(mixture [B, T], sources [B, C, T], lengths [B], rate []) -> (loss, gradient norm, finite); the weights move.

    The norm is the one before clipping. Where the loss or the gradient is not finite nothing is updated, not even
    the optimizer's counters, and ``finite`` is False. With ``amp`` fp16 a fifth input is the loss scale [].

    A Cell, not a jitted function: the runtime drives functions through a queue that spins, which on few cores
    costs several times the step itself.

    Args:
        world (int): processes that train together, see src/distributed/world.py.
    """

    def __init__(self, network, optimizer, config, world=1):
        super().__init__()
        self.gradient = Gradient(network, config)
        self.update = Update(optimizer, config, world)

    def construct(self, mixture, sources, lengths, rate, scale=None):
        loss, share, gradients = self.gradient(mixture, sources, lengths, scale)
        return self.update(loss, share, gradients, rate, scale)


class AccumulatedStep:
    """As :class:`TrainStep`, on ``accumulate`` times the batch: gradients are added up, one part after the other."""

    def __init__(self, network, optimizer, config, world=1):
        self.parts = config.accumulate
        sums = _Sums(network)
        self.add, self.move = _Add(network, config, sums), _Move(optimizer, config, world, sums)

    def __call__(self, mixture, sources, lengths, *rates):
        size = mixture.shape[0] // self.parts
        for start in range(0, size * self.parts, size):
            part = slice(start, start + size)
            self.add(mixture[part], sources[part], lengths[part], *rates[1:])
        return self.move(*rates)


class _Sums:
    """Running sums of gradients, and of loss and share."""

    def __init__(self, network):
        zeros = [(f"sum.{p.name}", p.shape) for p in network.trainable_params()]
        self.gradients = tuple(Parameter(ops.zeros(shape, ms.float32), name=name) for name, shape in zeros)
        self.facts = Parameter(Tensor([0.0, 0.0], ms.float32), name="sum.loss_and_share")


class _Add(nn.Cell):
    def __init__(self, network, config, sums):
        super().__init__()
        self.gradient = Gradient(network, config)

        def add(gradients, facts):
            for total, g in zip(sums.gradients, gradients):
                ops.assign_add(total, g)
            ops.assign_add(sums.facts, facts)

        self.keep = add

    def construct(self, mixture, sources, lengths, scale=None):
        loss, share, gradients = self.gradient(mixture, sources, lengths, scale)
        self.keep(gradients, ops.stack((loss, share * ops.ones_like(loss))))
        return loss


class _Move(nn.Cell):
    def __init__(self, optimizer, config, world, sums):
        super().__init__()
        self.update = Update(optimizer, config, world)
        self.parts = config.accumulate

        def means():
            found = ()
            for total in sums.gradients:
                found = found + (total / config.accumulate,)
            return found, sums.facts / config.accumulate

        def clear():
            for total in sums.gradients:
                ops.assign(total, ops.zeros_like(total))
            ops.assign(sums.facts, ops.zeros_like(sums.facts))

        self.means, self.clear = means, clear

    def construct(self, rate, scale=None):
        gradients, facts = self.means()
        self.clear()
        return self.update(facts[0], facts[1], gradients, rate, scale)

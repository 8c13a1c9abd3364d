"""One optimizer step: gradient, reduce over devices, clip, update, and refusal of what is not finite."""

import mindspore as ms
from mindspore import nn, ops

from src.adam import Adam
from src.loss import PITLoss


def build_optimizer(config, network):
    """Adam or SGD over every parameter, l2 added to the gradient; each step is given its learning rate."""
    parameters = network.trainable_params()
    # One group with its own weight decay: MindSpore otherwise leaves out names with "gamma" and "beta".
    groups = [{"params": parameters, "weight_decay": config.l2}]
    if config.optimizer == "sgd":
        return nn.Momentum(groups, config.lr, config.momentum)
    return Adam(groups, config.lr)


class TrainStep(nn.Cell):
    """(mixture [B, T], sources [B, C, T], lengths [B], rate []) -> (loss, gradient norm, finite); the weights move.

    The norm is the one before clipping. Where the loss or the gradient is not finite nothing is updated, not even
    the optimizer's counters, and ``finite`` is False.

    A Cell, not a jitted function: the runtime drives functions through a queue that spins, which on few cores
    costs several times the step itself.

    Args:
        reducer (nn.DistributedGradReducer): averages gradients over devices; None on one device.
    """

    def __init__(self, network, optimizer, config, reducer=None):
        super().__init__()
        criterion = PITLoss(config.num_spks)

        # Closures, so that network and optimizer do not become children, whose parameters would be renamed.
        def forward(mixture, sources, lengths):
            return criterion(network(mixture), sources, lengths)

        def update(gradients, rate):
            # Assigned here and not from outside: the compiled graph would not see that.
            ops.assign(optimizer.learning_rate, rate)
            return optimizer(gradients)

        self.gradient = ms.value_and_grad(forward, None, network.trainable_params())
        self.update = update
        self.reducer = reducer
        self.clip_norm = config.clip_norm

    def construct(self, mixture, sources, lengths, rate):
        loss, gradients = self.gradient(mixture, sources, lengths)
        if self.reducer is not None:
            gradients = self.reducer(gradients)
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
        if finite:
            self.update(gradients, rate)
        return loss, norm, finite

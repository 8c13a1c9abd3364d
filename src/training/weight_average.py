"""A running mean of the weights (EMA), which separates better than the weights of any one step."""

from mindspore import Parameter, Tensor, nn, ops

from src.training.schedule import average_share


class WeightAverage(nn.Cell):
    """Exponential moving average of a network's weights. Calling it with the share [] of the newest moves it on.

    Args:
        network (nn.Cell): the one that is trained; the mean starts as its weights.
        decay (float): share of the old mean that is kept each step.
    """

    PREFIX = "average."

    def __init__(self, network, decay):
        super().__init__()
        self.decay = decay
        weights = list(network.get_parameters())
        means = [Parameter(Tensor(p.asnumpy()), name=self.PREFIX + p.name, requires_grad=False) for p in weights]

        # A closure, so that neither becomes a child of this Cell and gets another name.
        def move(share):
            for mean, weight in zip(means, weights):
                ops.assign_add(mean, share * (weight - mean))

        self.move = move
        self.values = {p.name: mean for p, mean in zip(weights, means)}

    def restart(self, network):
        """Begin anew, before the first step, from the weights a network has now."""
        for parameter in network.get_parameters():
            self.values[parameter.name].set_data(Tensor(parameter.asnumpy()))

    def construct(self, share):
        self.move(share)
        return share

    def share(self, step):
        """Of the newest weights in step 1, 2, ..., see :func:`src.training.schedule.average_share`."""
        return average_share(self.decay, step)

"""Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1), with epsilon where the paper and PyTorch have it."""

from mindspore import nn, ops


class Adam(nn.Adam):
    """MindSpore's Adam adds epsilon to the root of the uncorrected second moment. In the first hundreds of steps that
    is as if epsilon were up to 30 times larger, which weights with tiny gradients feel."""

    def _apply_adam(self, params, beta1_power, beta2_power, moment1, moment2, lr, gradients):
        eps = self.eps * ops.sqrt(1 - beta2_power)
        done = True
        for parameter, first, second, gradient in zip(params, moment1, moment2, gradients):
            done = ops.depend(done, self.opt(parameter, first, second, beta1_power, beta2_power, lr, self.beta1,
                                             self.beta2, eps, gradient))
        return done

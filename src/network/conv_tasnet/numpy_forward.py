"""Conv-TasNet's forward pass in plain numpy: slow, and independent of every runtime, which it checks.

It follows model.py and the paper, not onnx_graph.py. Channel-last as the network.
"""

import numpy as np

from src.network.layers.numpy_layers import check_shapes, decode, encode, mask_act, normalise, prelu


def parameter_shapes(config):
    """{parameter name: shape} of a network with this :class:`src.network.conv_tasnet.config.ModelConfig`."""
    width, hidden, size = config.bn_channels, config.hidden_channels, config.kernel_size
    shapes = {"encoder.weight": (config.in_channels, size), "decoder.weight": (config.out_channels, size)}

    def linear(name, inputs, outputs):
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    def norm(name, channels):
        shapes.update({f"{name}.gamma": (channels,), f"{name}.beta": (channels,)})

    norm("separator.norm", config.in_channels)
    linear("separator.bottleneck", config.in_channels, width)
    count = config.num_repeats * config.num_blocks
    for i in range(count):
        name = f"separator.blocks.{i}"
        linear(f"{name}.expand", width, hidden)
        shapes.update({f"{name}.depthwise.weight": (hidden, 1, config.conv_kernel_size),
                       f"{name}.depthwise.bias": (hidden,)})
        for part in ("expand", "depthwise"):
            norm(f"{name}.{part}_norm", hidden)
            shapes[f"{name}.{part}_prelu.weight"] = (1,)
        if config.skip_channels:
            linear(f"{name}.skip", hidden, config.skip_channels)
        if i < count - 1 or not config.skip_channels:
            linear(f"{name}.residual", hidden, width)
    shapes["separator.prelu.weight"] = (1,)
    linear("separator.mask", config.skip_channels or width, config.num_spks * config.out_channels)
    if config.out_channels != config.in_channels:
        shapes["project.weight"] = (config.out_channels, config.in_channels)
    return shapes


def check_weights(config, weights, path):
    """Raise :class:`UserError` unless ``weights`` ({name: array}, read from ``path``) has all parameters in shape."""
    check_shapes(parameter_shapes(config), weights, path)


def forward(config, weights, mixture):
    """Estimates of mixtures: float32 [B, T] -> [B, C, T], T >= 1; ``weights``: {name: float32 array}."""
    return Forward(config, weights)(mixture)


class Forward:
    """See :func:`forward`."""

    def __init__(self, config, weights):
        self.config, self.weights = config, weights

    def __call__(self, mixture):
        encoded = encode(mixture, self.weights["encoder.weight"])
        masks = self.masks(encoded)
        if "project.weight" in self.weights:
            encoded = encoded @ self.weights["project.weight"].T
        return decode(masks * encoded[:, :, None], self.weights["decoder.weight"], mixture.shape[1])

    def masks(self, encoded):
        """[B, L, N] -> [B, L, C, out_channels]."""
        config, total = self.config, 0
        x = self.linear(self.norm(encoded, "separator.norm"), "separator.bottleneck")
        for i in range(config.num_repeats * config.num_blocks):
            name = f"separator.blocks.{i}"
            y = self.prelu(self.linear(x, f"{name}.expand"), f"{name}.expand_prelu")
            y = self.depthwise(self.norm(y, f"{name}.expand_norm"), f"{name}.depthwise", 2 ** (i % config.num_blocks))
            y = self.norm(self.prelu(y, f"{name}.depthwise_prelu"), f"{name}.depthwise_norm")
            if f"{name}.residual.weight" in self.weights:
                x = x + self.linear(y, f"{name}.residual")
            total = total + self.linear(y, f"{name}.skip") if config.skip_channels else x
        x = self.linear(self.prelu(total, "separator.prelu"), "separator.mask")
        return mask_act(x.reshape(*x.shape[:2], config.num_spks, config.out_channels), config.mask_act)

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def prelu(self, x, name):
        return prelu(x, self.weights[f"{name}.weight"])

    def norm(self, x, name):
        return normalise(x, self.config.norm) * self.weights[f"{name}.gamma"] + self.weights[f"{name}.beta"]

    def depthwise(self, x, name, dilation):
        """Each channel with its own filter, whose taps are ``dilation`` frames apart."""
        weight = self.weights[f"{name}.weight"][:, 0]
        reach = (weight.shape[1] - 1) * dilation
        before = reach if self.config.causal else reach // 2
        padded = np.pad(x, ((0, 0), (before, reach - before), (0, 0)))
        parts = [padded[:, tap * dilation : tap * dilation + x.shape[1]] * row for tap, row in enumerate(weight.T)]
        return sum(parts) + self.weights[f"{name}.bias"]

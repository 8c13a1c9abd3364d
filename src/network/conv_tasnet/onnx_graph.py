"""Conv-TasNet as an ONNX graph, written node by node from the weights.

The separator is channel-first here, as ONNX's convolutions want it; encoder, masks and decoder are as in model.py.
"""

from src.network.layers import onnx_nodes as nodes
from src.network.layers.lengths import padding
from src.network.layers.onnx_nodes import Graph


class Network:
    """Builds the whole graph; see :func:`build`."""

    def __init__(self, config, weights):
        self.g, self.config, self.weights = Graph(), config, weights

    def pointwise(self, x, name):
        """[B, inputs, L] -> [B, outputs, L]."""
        g, weight, bias = self.g, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return g("Conv", x, g.constant(weight[:, :, None]), g.constant(bias), kernel_shape=[1])

    def depthwise(self, x, name, dilation):
        """src/network/layers/depthwise.py, [B, C, L]."""
        g, weight, bias = self.g, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        channels, _, taps = weight.shape
        return g("Conv", x, g.constant(weight), g.constant(bias), kernel_shape=[taps], group=channels,
                 dilations=[dilation], pads=list(padding(taps, dilation, self.config.causal)))

    def norm(self, x, name):
        """src/network/layers/norms.py, [B, C, L]."""
        gamma, beta = (self.weights[f"{name}.{part}"][:, None] for part in ("gamma", "beta"))
        return nodes.norm(self.g, x, self.config.norm, gamma, beta, (1,), 2)

    def prelu(self, x, name):
        return nodes.prelu(self.g, x, self.weights[f"{name}.weight"])

    def block(self, x, name, dilation):
        """model.py, ConvBlock: the residual sum and the skip, [B, C, L]."""
        y = self.norm(self.prelu(self.pointwise(x, f"{name}.expand"), f"{name}.expand_prelu"), f"{name}.expand_norm")
        y = self.prelu(self.depthwise(y, f"{name}.depthwise", dilation), f"{name}.depthwise_prelu")
        y = self.norm(y, f"{name}.depthwise_norm")
        if f"{name}.residual.weight" in self.weights:
            x = self.g("Add", x, self.pointwise(y, f"{name}.residual"))
        return x, self.pointwise(y, f"{name}.skip") if self.config.skip_channels else x

    def masks(self, encoded):
        """[B, L, N] -> [B, L, C, out_channels]."""
        g, c = self.g, self.config
        x = self.norm(g("Transpose", encoded, perm=[0, 2, 1]), "separator.norm")
        x, total = self.pointwise(x, "separator.bottleneck"), None
        for i in range(c.num_repeats * c.num_blocks):
            x, skip = self.block(x, f"separator.blocks.{i}", 2 ** (i % c.num_blocks))
            total = g("Add", total, skip) if total and c.skip_channels else skip
        x = self.pointwise(self.prelu(total, "separator.prelu"), "separator.mask")
        x = g.reshape(g("Transpose", x, perm=[0, 2, 1]), 0, 0, c.num_spks, c.out_channels)
        return nodes.mask_act(g, x, c.mask_act, 2)

    def __call__(self, mixture, length):
        g = self.g
        if length is None:
            length = g.length(mixture, 1)
        encoded, _ = nodes.encode(g, mixture, length, self.weights["encoder.weight"])
        masks = self.masks(encoded)
        if "project.weight" in self.weights:
            encoded = nodes.linear(g, encoded, self.weights["project.weight"])
        masked = g("Mul", masks, g("Unsqueeze", encoded, g.ints(2)))
        return nodes.decode(g, masked, length, self.weights["decoder.weight"], self.config.num_spks)


def build(config, weights, metadata, batch=None, length=None):
    """The ONNX model of a trained network; the arguments are those of ``onnx_graph`` in src/network/registry.py."""
    network = Network(config, weights)
    network("mixture", length)
    return nodes.model(network.g, "Conv-TasNet", metadata, config.num_spks, batch, length)

"""DPRNN-TasNet as an ONNX graph, written node by node from the weights. It follows model.py: channel-last, chunks by
reshape and slices."""

import numpy as np

from src.network.layers import onnx_nodes as nodes
from src.network.layers.onnx_nodes import OPSET, Graph, overlap_add, span, split

__all__ = ["OPSET", "build"]

# gate blocks of PyTorch's order, in ONNX's: LSTM i f g o -> i o f c, GRU r z n -> z r h
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def recurrent(g, x, weights, rnn_type):
    """src/network/layers/rnn.py: [T, B, inputs] -> [T, B, directions * hidden]. ``weights``: 4 arrays per direction."""
    hidden = weights[1].shape[1]
    order = list(GATES[rnn_type])

    def ordered(array):
        return array.reshape(len(order), hidden, -1)[order].reshape(array.shape)

    directions = len(weights) // 4
    w_ih, w_hh, b_ih, b_hh = (np.stack([ordered(weights[4 * d + i]) for d in range(directions)]) for i in range(4))
    attributes = {"GRU": {"linear_before_reset": 1}}.get(rnn_type, {})
    # MindSpore Lite wants the zero states and every output spelled out; [1, B, 1] * [directions, 1, H] gives the shape.
    one = g.slice(g.slice(x, 0, 1, 0), 0, 1, 2)
    states = [g("Mul", one, g.constant(np.zeros((directions, 1, hidden), np.float32)))] * (1 + (rnn_type == "LSTM"))
    out = g(rnn_type, x, g.constant(w_ih), g.constant(w_hh), g.constant(np.concatenate([b_ih, b_hh], 1)), "", *states,
            outputs=1 + len(states), hidden_size=hidden,
            direction="bidirectional" if directions == 2 else "forward", **attributes)
    return g.reshape(g("Transpose", out[0], perm=[0, 2, 1, 3]), 0, 0, directions * hidden)


class Network:
    """Builds the whole graph; see :func:`build`."""

    def __init__(self, config, weights, batch):
        self.g, self.config, self.weights, self.batch = Graph(), config, weights, batch

    def linear(self, x, name):
        return nodes.linear(self.g, x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def norm(self, x, name, axes):
        step = tuple(range(axes - 1, 1, -1))
        return nodes.norm(self.g, x, self.config.norm, self.weights[f"{name}.gamma"], self.weights[f"{name}.beta"],
                          step)

    def rnn(self, x, name):
        suffixes = [s for s in ("", "_reverse") if f"{name}.weight_ih_l0{s}" in self.weights]
        parts = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        return recurrent(self.g, x, [self.weights[f"{name}.{p}{s}"] for s in suffixes for p in parts],
                         self.config.rnn_type)

    def block(self, x, name, batch):
        """src/network/dprnn/dual_path.py, DualPathBlock: [B, S, K, N] -> [B, S, K, N]."""
        g, size, channels = self.g, self.config.K, self.config.bn_channels
        y = g.reshape(g("Transpose", x, perm=[2, 0, 1, 3]), 0, -1, channels)
        y = self.linear(self.rnn(y, f"{name}.intra_rnn"), f"{name}.intra_linear")
        y = g("Transpose", g.reshape(y, 0, batch, -1, channels), perm=[1, 2, 0, 3])
        x = g("Add", x, self.norm(y, f"{name}.intra_norm", 4))
        y = g.reshape(g("Transpose", x, perm=[1, 0, 2, 3]), 0, -1, channels)
        y = self.linear(self.rnn(y, f"{name}.inter_rnn"), f"{name}.inter_linear")
        y = g("Transpose", g.reshape(y, 0, -1, size, channels), perm=[1, 0, 2, 3])
        return g("Add", x, self.norm(y, f"{name}.inter_norm", 4))

    def masks(self, encoded, frames, batch):
        """[B, L, N] -> [B, L, C, out_channels]."""
        g, c = self.g, self.config
        size, hop = c.K, c.K // 2
        x = self.linear(self.norm(encoded, "separator.norm", 3), "separator.bottleneck")
        chunks = g.compute("Add", g.compute("Div", g.compute("Add", frames, size), hop), 1)
        right = g.compute("Sub", span(g, size, chunks), g.compute("Add", frames, size))
        x = split(g, g.pad(x, size, right, 1, 3), size, c.bn_channels)
        for i in range(c.num_layers):
            x = self.block(x, f"separator.blocks.{i}", batch)
        x = self.linear(nodes.prelu(g, x, self.weights["separator.prelu.weight"]), "separator.expand")
        x = overlap_add(g, x, size, c.num_spks * c.bn_channels)
        x = g.slice(x, size, g.compute("Add", frames, size), 1)
        x = g.reshape(x, 0, 0, c.num_spks, c.bn_channels)
        x = g("Mul", g("Tanh", self.linear(x, "separator.gate_tanh")),
              g("Sigmoid", self.linear(x, "separator.gate_sigmoid")))
        x = self.linear(x, "separator.mask")
        return nodes.mask_act(g, x, c.mask_act, 2)

    def __call__(self, mixture, length):
        g = self.g
        if length is None:
            length = g.length(mixture, 1)
        batch = self.batch or g.length(mixture, 0)
        encoded, frames = nodes.encode(g, mixture, length, self.weights["encoder.weight"])
        masks = self.masks(encoded, frames, batch)
        if "project.weight" in self.weights:
            encoded = self.linear(encoded, "project")
        masked = g("Mul", masks, g("Unsqueeze", encoded, g.ints(2)))
        return nodes.decode(g, masked, length, self.weights["decoder.weight"], self.config.num_spks)


def build(config, weights, metadata, batch=None, length=None):
    """The ONNX model of a trained network.

    Args:
        config (ModelConfig): what it is.
        weights (dict): {parameter name: float32 array} as in the checkpoint.
        metadata (dict): {key: text} stored in the file.
        batch (int): the one batch size; None for any.
        length (int): the one input length, samples; None for any.
    Returns:
        onnx.ModelProto: ``mixture`` [B, T] -> ``estimates`` [B, C, T], float32.
    """
    network = Network(config, weights, batch)
    network("mixture", length)
    return nodes.model(network.g, "DPRNN-TasNet", metadata, config.num_spks, batch, length)

"""DPRNN-TasNet's forward pass in plain numpy: slow, and independent of every runtime, which it checks.

It follows model.py and the papers named there, not onnx_graph.py. Channel-last as the network: encoded
[B, L, N], chunked [B, S, K, N].
"""

import numpy as np

from src.network.layers.numpy_layers import (
    check_shapes,
    decode,
    encode,
    mask_act,
    normalise,
    overlap_add,
    prelu,
    sigmoid,
    windows,
)

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def parameter_shapes(config):
    """{parameter name: shape} of a network with this :class:`src.network.dprnn.config.ModelConfig`."""
    width, hidden, size = config.bn_channels, config.hidden_channels, config.kernel_size
    shapes = {"encoder.weight": (config.in_channels, size), "decoder.weight": (config.out_channels, size)}

    def linear(name, inputs, outputs, bias=True):
        shapes.update({f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {}))

    def norm(name, channels):
        shapes.update({f"{name}.gamma": (channels,), f"{name}.beta": (channels,)})

    norm("separator.norm", config.in_channels)
    linear("separator.bottleneck", config.in_channels, width)
    rows = GATES[config.rnn_type] * hidden
    for block in range(config.num_layers):
        for path, directions in (("intra", 2), ("inter", 2 if config.bidirectional else 1)):
            name = f"separator.blocks.{block}.{path}"
            for suffix in ("", "_reverse")[:directions]:
                shapes.update({f"{name}_rnn.weight_ih_l0{suffix}": (rows, width),
                               f"{name}_rnn.weight_hh_l0{suffix}": (rows, hidden),
                               f"{name}_rnn.bias_ih_l0{suffix}": (rows,), f"{name}_rnn.bias_hh_l0{suffix}": (rows,)})
            linear(f"{name}_linear", directions * hidden, width)
            norm(f"{name}_norm", width)
    shapes["separator.prelu.weight"] = (1,)
    linear("separator.expand", width, config.num_spks * width)
    linear("separator.gate_tanh", width, width)
    linear("separator.gate_sigmoid", width, width)
    linear("separator.mask", width, config.out_channels, bias=False)
    if config.out_channels != config.in_channels:
        linear("project", config.in_channels, config.out_channels, bias=False)
    return shapes


def check_weights(config, weights, path):
    """Raise :class:`UserError` unless ``weights`` ({name: array}, read from ``path``) has all parameters in shape."""
    check_shapes(parameter_shapes(config), weights, path)


def forward(config, weights, mixture):
    """Estimates of mixtures: float32 [B, T] -> [B, C, T].

    Args:
        config (ModelConfig): what the network is.
        weights (dict): {parameter name: float32 array} as in a checkpoint.
        mixture: float32 [B, T], T >= 1.
    """
    return Forward(config, weights)(mixture)


class Forward:
    """See :func:`forward`."""

    def __init__(self, config, weights):
        self.config, self.weights = config, weights

    def __call__(self, mixture):
        encoded = encode(mixture, self.weights["encoder.weight"])
        masks = self.masks(encoded)
        if "project.weight" in self.weights:
            encoded = self.linear(encoded, "project")
        return decode(masks * encoded[:, :, None], self.weights["decoder.weight"], mixture.shape[1])

    def masks(self, encoded):
        """[B, L, N] -> [B, L, C, out_channels]."""
        config, size = self.config, self.config.K
        batch, frames, _ = encoded.shape
        x = self.linear(self.norm(encoded, "separator.norm"), "separator.bottleneck")
        chunks = (frames + size) // (size // 2) + 1
        x = windows(np.pad(x, ((0, 0), (size, 2 * size), (0, 0))), size, chunks)
        for block in range(config.num_layers):
            for axis, path in ((2, "intra"), (1, "inter")):
                name = f"separator.blocks.{block}.{path}"
                x = x + self.norm(self.linear(self.along(x, axis, f"{name}_rnn"), f"{name}_linear"), f"{name}_norm")
        x = prelu(x, self.weights["separator.prelu.weight"])
        x = overlap_add(self.linear(x, "separator.expand"))[:, size : size + frames]
        x = x.reshape(batch, frames, config.num_spks, config.bn_channels)
        x = np.tanh(self.linear(x, "separator.gate_tanh")) * sigmoid(self.linear(x, "separator.gate_sigmoid"))
        return mask_act(self.linear(x, "separator.mask"), config.mask_act)

    def linear(self, x, name):
        x = x @ self.weights[f"{name}.weight"].T
        return x + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else x

    def norm(self, x, name):
        return normalise(x, self.config.norm) * self.weights[f"{name}.gamma"] + self.weights[f"{name}.beta"]

    def along(self, x, axis, name):
        """The RNN ``name`` along one axis of [B, S, K, N], the others are its batch: [B, S, K, directions * H]."""
        x = np.moveaxis(x, axis, 0)
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        ways = [self.one_way(flat, name, "")]
        if f"{name}.weight_ih_l0_reverse" in self.weights:
            ways.append(self.one_way(flat[::-1], name, "_reverse")[::-1])
        return np.moveaxis(np.concatenate(ways, 2).reshape(*x.shape[:-1], -1), 0, axis)

    def one_way(self, x, name, suffix):
        """[T, B, inputs] -> [T, B, H] from a zero state, with PyTorch's order of gates."""
        w_ih, w_hh, b_ih, b_hh = (self.weights[f"{name}.{part}_l0{suffix}"]
                                  for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        inputs = x @ w_ih.T + b_ih
        h = c = np.zeros((x.shape[1], w_hh.shape[1]), np.float32)
        out = np.empty((*x.shape[:2], w_hh.shape[1]), np.float32)
        for step, given in enumerate(inputs):
            h, c = CELLS[self.config.rnn_type](given, h @ w_hh.T + b_hh, h, c)
            out[step] = h
        return out


def lstm(given, recalled, _, c):
    """Gates i, f, g, o (Gers et al. 2000)."""
    i, f, g, o = np.split(given + recalled, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(given, recalled, h, c):
    """Gates r, z, n; the reset comes after the product, as in cuDNN and PyTorch."""
    (r, z, n), (r_h, z_h, n_h) = np.split(given, 3, 1), np.split(recalled, 3, 1)
    z = sigmoid(z + z_h)
    return (1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h) + z * h, c


def rnn(given, recalled, _, c):
    return np.tanh(given + recalled), c


CELLS = {"LSTM": lstm, "GRU": gru, "RNN": rnn}

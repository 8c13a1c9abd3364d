"""DPRNN-TasNet as an ONNX graph, written node by node from the weights.

MindSpore's own ONNX exporter knows neither bidirectional RNNs nor unknown lengths. The graph follows model.py:
channel-last, chunks by reshape and slices. With a known length every shape is a number in the file, which is what
converters for fixed shapes (MindSpore Lite, ATC) want; otherwise the shapes are computed inside the graph.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # the one of opset 17: older runtimes read it
NORM_EPS = 1e-8
END = 2**31 - 1  # a slice's "to the end"; MindSpore Lite keeps 32 bits


class Graph:
    """Collects nodes and constants; every method returns the name of a tensor, or a number for a known length."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def __call__(self, op, *inputs, outputs=1, **attributes):
        """Add a node. Returns its output's name, or a list of names for several."""
        names = [f"{op.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{op}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array):
        """A tensor stored in the file. Never shared: MindSpore Lite rewrites some of a node's constants in place."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"constant_{len(self.constants)}"))
        return self.constants[-1].name

    def ints(self, *values):
        """int64 [n] of numbers and of tensors [1]."""
        if all(isinstance(v, int) for v in values):
            return self.constant(np.array(values, np.int64))
        return self("Concat", *(v if isinstance(v, str) else self.ints(v) for v in values), axis=0)

    def compute(self, op, a, b):
        """Whole-number arithmetic on lengths: at once where both are known, else by nodes."""
        if isinstance(a, int) and isinstance(b, int):
            return {"Add": a + b, "Sub": a - b, "Mul": a * b, "Div": a // b if b else 0, "Max": max(a, b)}[op]
        return self(op, *(v if isinstance(v, str) else self.ints(v) for v in (a, b)))

    def length(self, x, axis):
        """One axis of a tensor's shape, int64 [1]."""
        return self("Gather", self("Shape", x), self.ints(axis), axis=0)

    def slice(self, x, start, end, axis):
        """x[start:end] along an axis."""
        return self("Slice", x, self.ints(start), self.ints(end), self.ints(axis))

    def pad(self, x, left, right, axis, axes):
        """Zeros before and after along one of ``axes`` axes."""
        before = [left if i == axis else 0 for i in range(axes)]
        after = [right if i == axis else 0 for i in range(axes)]
        return self("Pad", x, self.ints(*before, *after))

    def reshape(self, x, *shape):
        """0 keeps an axis, -1 is what is left over."""
        return self("Reshape", x, self.ints(*shape))

    def scalar(self, value):
        return self.constant(np.array(value, np.float32))


def split(g, x, size, channels):
    """src/network/layers/chunking.py: [B, span, N] -> [B, count, size, N]."""
    hop = size // 2
    whole = g.slice(x, 0, -hop, 1) if size % 2 else x  # an odd window needs one hop more to read from
    blocks = g.reshape(whole, 0, -1, hop, channels)
    parts = [g.slice(blocks, 0, -1, 1), g.slice(blocks, 1, END, 1)]
    if size % 2:
        ends = g.reshape(g.slice(x, 2 * hop, END, 1), 0, -1, hop, channels)
        parts.append(g.slice(ends, 0, 1, 2))
    return g("Concat", *parts, axis=2)


def overlap_add(g, x, size, channels):
    """src/network/layers/chunking.py: [B, count, size, N] -> [B, span, N]."""
    hop = size // 2
    first, second = g.slice(x, 0, hop, 2), g.slice(x, hop, 2 * hop, 2)
    out = g("Add", g.pad(first, 0, 1, 1, 4), g.pad(second, 1, 0, 1, 4))
    out = g.reshape(out, 0, -1, channels)
    if size % 2:
        ends = g.slice(x, 2 * hop, END, 2)
        ends = g.reshape(g.pad(ends, 0, hop - 1, 2, 4) if hop > 1 else ends, 0, -1, channels)
        out = g("Add", g.pad(out, 0, hop, 1, 3), g.pad(ends, 2 * hop, 0, 1, 3))
    return out


def span(g, size, count):
    """Samples that ``count`` windows read, whole hops."""
    return g.compute("Mul", g.compute("Add", count, 2 if size % 2 else 1), size // 2)


def linear(g, x, weight, bias=None):
    """[..., inputs] -> [..., outputs], weight [outputs, inputs]."""
    x = g("MatMul", x, g.constant(weight.T))
    return x if bias is None else g("Add", x, g.constant(bias))


def norm(g, x, kind, gamma, beta, axes):
    """src/network/layers/norms.py, [B, T, C] (3 axes) or [B, S, K, C] (4)."""
    if kind == "cln":
        normed = cumulative(g, x, axes)
    else:
        first = 1 if kind == "gln" else axes - 1

        def mean(value):  # one axis at a time: runtimes add up naively, a minute at once costs 1e-3 of the variance
            for axis in range(axes - 1, first - 1, -1):
                value = g("ReduceMean", value, axes=[axis], keepdims=1)
            return value

        centred = g("Sub", x, mean(x))
        variance = mean(g("Mul", centred, centred))
        normed = g("Div", centred, g("Sqrt", g("Add", variance, g.scalar(NORM_EPS))))
    return g("Add", g("Mul", normed, g.constant(gamma)), g.constant(beta))


def cumulative(g, x, axes):
    """Mean and variance of everything up to each step, before gain and bias."""
    over = list(range(2, axes))

    def so_far(value):
        total = g("ReduceSum", value, g.ints(*over), keepdims=1)
        return g("CumSum", total, g.constant(np.array(1, np.int64)))

    count = so_far(g("Add", g("Mul", x, g.scalar(0)), g.scalar(1)))
    mean = g("Div", so_far(x), count)
    power = g("Div", so_far(g("Mul", x, x)), count)
    variance = g("Relu", g("Sub", power, g("Mul", mean, mean)))
    return g("Div", g("Sub", x, mean), g("Sqrt", g("Add", variance, g.scalar(NORM_EPS))))


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
        return linear(self.g, x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def norm(self, x, name, axes):
        return norm(self.g, x, self.config.norm, self.weights[f"{name}.gamma"], self.weights[f"{name}.beta"], axes)

    def rnn(self, x, name):
        suffixes = [s for s in ("", "_reverse") if f"{name}.weight_ih_l0{s}" in self.weights]
        parts = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        return recurrent(self.g, x, [self.weights[f"{name}.{p}{s}"] for s in suffixes for p in parts],
                         self.config.rnn_type)

    def encode(self, mixture, length):
        """[B, T] -> [B, L, N], and L."""
        g, size = self.g, self.config.kernel_size
        over = g.compute("Max", g.compute("Sub", length, size), 0)
        frames = g.compute("Add", g.compute("Div", over, size // 2), 1)
        x = g.slice(g.pad(mixture, 0, size, 1, 2), 0, span(g, size, frames), 1)
        x = g.reshape(split(g, g("Unsqueeze", x, g.ints(2)), size, 1), 0, 0, size)
        return g("MatMul", x, g.constant(self.weights["encoder.weight"].T)), frames

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
        x = self.linear(g("PRelu", x, g.constant(self.weights["separator.prelu.weight"])), "separator.expand")
        x = overlap_add(g, x, size, c.num_spks * c.bn_channels)
        x = g.slice(x, size, g.compute("Add", frames, size), 1)
        x = g.reshape(x, 0, 0, c.num_spks, c.bn_channels)
        x = g("Mul", g("Tanh", self.linear(x, "separator.gate_tanh")),
              g("Sigmoid", self.linear(x, "separator.gate_sigmoid")))
        x = self.linear(x, "separator.mask")
        return g("Softmax", x, axis=2) if c.mask_act == "softmax" else g({"relu": "Relu"}.get(c.mask_act, "Sigmoid"), x)

    def decode(self, x, length):
        """[B, L, C, N] -> [B, C, T]."""
        g, c = self.g, self.config
        size = c.kernel_size
        windows = g("Transpose", g("MatMul", x, g.constant(self.weights["decoder.weight"])), perm=[0, 1, 3, 2])
        x = g("Transpose", overlap_add(g, windows, size, c.num_spks), perm=[0, 2, 1])
        return g.slice(g.pad(x, 0, size, 2, 3), 0, length, 2)

    def __call__(self, mixture, length):
        g = self.g
        if length is None:
            length = g.length(mixture, 1)
        batch = self.batch or g.length(mixture, 0)
        encoded, frames = self.encode(mixture, length)
        masks = self.masks(encoded, frames, batch)
        if "project.weight" in self.weights:
            encoded = self.linear(encoded, "project")
        return self.decode(g("Mul", masks, g("Unsqueeze", encoded, g.ints(2))), length)


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
    network.g.nodes[-1].output[0] = "estimates"
    shapes = ("mixture", [batch or "batch", length or "time"]), \
             ("estimates", [batch or "batch", config.num_spks, length or "time"])
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in shapes)
    graph = helper.make_graph(network.g.nodes, "DPRNN-TasNet", inputs, outputs, network.g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="dprnn")
    helper.set_model_props(model, metadata)
    return model

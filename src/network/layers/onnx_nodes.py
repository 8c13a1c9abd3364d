"""Pieces of ONNX graphs that several families use, written node by node from the weights.

MindSpore's own ONNX exporter knows neither bidirectional RNNs nor unknown lengths. With a known length every shape is a
number in the file, which is what converters for fixed shapes (MindSpore Lite, ATC) want; otherwise the shapes are
computed inside the graph.
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


def prelu(g, x, weight):
    """src/network/layers/prelu.py; ``weight`` [1]."""
    return g("PRelu", x, g.constant(weight))


def norm(g, x, kind, gamma, beta, step, time=1):
    """src/network/layers/norms.py.

    Args:
        kind (str): gln, cln or ln.
        gamma, beta (ndarray): gain and bias, of a shape that broadcasts to ``x``.
        step (tuple): axes of one time step, the channels first: (2,) of [B, T, C], (3, 2) of [B, S, K, C], (1,) of
            [B, C, T].
        time (int): the axis of time.
    """
    if kind == "cln":
        normed = cumulative(g, x, step, time)
    else:
        over = (*step, time) if kind == "gln" else step[:1]

        def mean(value):  # one axis at a time: runtimes add up naively, a minute at once costs 1e-3 of the variance
            for axis in over:
                value = g("ReduceMean", value, axes=[axis], keepdims=1)
            return value

        centred = g("Sub", x, mean(x))
        variance = mean(g("Mul", centred, centred))
        normed = g("Div", centred, g("Sqrt", g("Add", variance, g.scalar(NORM_EPS))))
    return g("Add", g("Mul", normed, g.constant(gamma)), g.constant(beta))


def cumulative(g, x, step, time):
    """Mean and variance of everything up to each step, before gain and bias."""

    def so_far(value):
        total = g("ReduceSum", value, g.ints(*sorted(step)), keepdims=1)
        return g("CumSum", total, g.constant(np.array(time, np.int64)))

    count = so_far(g("Add", g("Mul", x, g.scalar(0)), g.scalar(1)))
    mean = g("Div", so_far(x), count)
    power = g("Div", so_far(g("Mul", x, x)), count)
    variance = g("Relu", g("Sub", power, g("Mul", mean, mean)))
    return g("Div", g("Sub", x, mean), g("Sqrt", g("Add", variance, g.scalar(NORM_EPS))))


def encode(g, mixture, length, weight):
    """src/network/layers/filterbank.py, Encoder: [B, T] -> ([B, L, N], L). ``weight`` [N, kernel_size]."""
    size = weight.shape[1]
    over = g.compute("Max", g.compute("Sub", length, size), 0)
    frames = g.compute("Add", g.compute("Div", over, size // 2), 1)
    x = g.slice(g.pad(mixture, 0, size, 1, 2), 0, span(g, size, frames), 1)
    x = g.reshape(split(g, g("Unsqueeze", x, g.ints(2)), size, 1), 0, 0, size)
    return g("MatMul", x, g.constant(weight.T)), frames


def mask_act(g, x, kind, speakers):
    """The activation ``kind`` of masks: relu, sigmoid or softmax, over the axis ``speakers``."""
    return g("Softmax", x, axis=speakers) if kind == "softmax" else g({"relu": "Relu"}.get(kind, "Sigmoid"), x)


def decode(g, x, length, weight, speakers):
    """src/network/layers/filterbank.py, Decoder: [B, L, C, N] -> [B, C, T]. ``weight`` [N, kernel_size]."""
    size = weight.shape[1]
    windows = g("Transpose", g("MatMul", x, g.constant(weight)), perm=[0, 1, 3, 2])
    x = g("Transpose", overlap_add(g, windows, size, speakers), perm=[0, 2, 1])
    return g.slice(g.pad(x, 0, size, 2, 3), 0, length, 2)


def model(g, name, metadata, speakers, batch, length):
    """The graph ``g``, whose last node gives the estimates, as a file.

    Args:
        g (Graph): from the tensor ``mixture``.
        name (str): of the network.
        metadata (dict): {key: text} stored in the file.
        speakers (int): outputs C.
        batch (int), length (int): the only ones; None for any.
    Returns:
        onnx.ModelProto: ``mixture`` [B, T] -> ``estimates`` [B, C, T], float32.
    """
    g.nodes[-1].output[0] = "estimates"
    shapes = ("mixture", [batch or "batch", length or "time"]), \
             ("estimates", [batch or "batch", speakers, length or "time"])
    inputs, outputs = ([helper.make_tensor_value_info(key, TensorProto.FLOAT, shape)] for key, shape in shapes)
    graph = helper.make_graph(g.nodes, name, inputs, outputs, g.constants)
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="dprnn")
    helper.set_model_props(found, metadata)
    return found

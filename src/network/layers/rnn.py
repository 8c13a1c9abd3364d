"""Recurrent layers, time-major, with PyTorch's weight names and gate order on every device.

Three kernels compute the same function:

* ``packed``: the fused, bidirectional ``ops.LSTM`` (CPU);
* ``dynamic``: ``ops.DynamicRNN`` / ``ops.DynamicGRUV2``, one per direction, fp16 inside (Ascend);
* ``loop``: matrix products in a graph-mode ``while``, for any cell and any length on any device. On CPU the
  GRU needs it: the CPU kernel MindSpore has is the other GRU variant (reset gate before the product).
"""

import math

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Uniform, initializer

from src.network.layers.linear import AddBias, Projection, rounded

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class Recurrent(nn.Cell):
    """One recurrent layer: [T, B, inputs] -> [T, B, directions * hidden], from a zero state.

    Args:
        rnn_type (str): LSTM (gates i, f, g, o), GRU (r, z, n; reset after the product) or RNN (tanh).
        kernel (str): packed, dynamic or loop; see the module's text.
    """

    def __init__(self, rnn_type, inputs, hidden, bidirectional, kernel):
        super().__init__()
        self.hidden = hidden
        self.directions = 2 if bidirectional else 1
        rows = GATES[rnn_type] * hidden
        bound = Uniform(1 / math.sqrt(hidden))
        shapes = (("weight_ih_l0", (rows, inputs)), ("weight_hh_l0", (rows, hidden)),
                  ("bias_ih_l0", (rows,)), ("bias_hh_l0", (rows,)))
        for suffix in ("", "_reverse")[: self.directions]:
            for name, shape in shapes:
                setattr(self, name + suffix, Parameter(initializer(bound, shape, ms.float32), name=name + suffix))
        if kernel == "packed":
            self.run = PackedLSTM(inputs, hidden, self.directions)
        else:
            cell = {("dynamic", "LSTM"): DynamicLSTM, ("dynamic", "GRU"): DynamicGRU}.get((kernel, rnn_type))
            self.run = PerDirection(cell() if cell else TimeLoop(rnn_type, hidden))

    def construct(self, x):
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        if self.directions == 2:
            weights = weights + (self.weight_ih_l0_reverse, self.weight_hh_l0_reverse,
                                 self.bias_ih_l0_reverse, self.bias_hh_l0_reverse)
        return self.run(x, weights)


class Recomputed(nn.Cell):
    """An RNN kernel that runs again for its gradient, so that nothing inside it is kept until then."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel
        self.gradient = ops.GradOperation(get_all=True, sens_param=True)
        self.after = ops.Depend()

    def construct(self, x, weights):
        return self.kernel(x, weights)

    def bprop(self, x, weights, out, dout):
        """Gradients for x and weights."""
        x = self.after(x, dout)  # else the compiler sees two equal runs and keeps the results of the first
        return self.gradient(self.kernel)(x, weights, dout)


class PackedLSTM(nn.Cell):
    """Both directions in one kernel, which wants all weights in one vector and the two biases summed."""

    def __init__(self, inputs, hidden, directions):
        super().__init__()
        self.hidden, self.directions = hidden, directions
        self.lstm = ops.LSTM(inputs, hidden, 1, True, directions == 2, 0.0)

    def construct(self, x, weights):
        state = ops.zeros((self.directions, x.shape[1], self.hidden), x.dtype)
        parts = (weights[0].reshape(-1),)
        if self.directions == 2:  # order: input weights, recurrent weights, biases; forward before reverse
            parts = parts + (weights[4].reshape(-1), weights[1].reshape(-1), weights[5].reshape(-1),
                             weights[2] + weights[3], weights[6] + weights[7])
        else:
            parts = parts + (weights[1].reshape(-1), weights[2] + weights[3])
        packed = ops.concat([part.astype(x.dtype) for part in parts], 0).reshape(-1, 1, 1)
        return self.lstm(x, state, state, packed)[0]


class PerDirection(nn.Cell):
    """Runs a one-way kernel forwards and, on the reversed sequence, backwards."""

    def __init__(self, one_way):
        super().__init__()
        self.one_way = one_way
        self.reverse = ops.ReverseV2([0])

    def construct(self, x, weights):
        out = self.one_way(x, weights[0], weights[1], weights[2], weights[3])
        if len(weights) == 8:
            back = self.one_way(self.reverse(x), weights[4], weights[5], weights[6], weights[7])
            out = ops.concat((out, self.reverse(back)), 2)
        return out


class TimeLoop(nn.Cell):
    """Any cell, one time step after the other. ``product_type``, ``rounding``: see src/training/precision.py."""

    product_type = rounding = None

    def __init__(self, rnn_type, hidden):
        super().__init__()
        self.rnn_type, self.hidden = rnn_type, hidden
        self.project, self.add_bias = Projection(), AddBias()

    def construct(self, x, w_ih, w_hh, b_ih, b_hh):
        steps, batch, _ = x.shape
        if self.product_type is not None:
            w_ih, w_hh = w_ih.astype(self.product_type), w_hh.astype(self.product_type)
        if self.rounding is not None:
            x, w_ih, w_hh = rounded(x, self.rounding), rounded(w_ih, self.rounding), rounded(w_hh, self.rounding)
        inputs = self.add_bias(self.project(x, w_ih), b_ih)  # [T, B, gates * H], all steps in one product
        w_hh = w_hh.T
        h = ops.zeros((batch, self.hidden), x.dtype)
        c = ops.zeros((batch, self.hidden), x.dtype)
        out = ops.zeros((steps, batch, self.hidden), x.dtype)
        t = ops.zeros((), ms.int32)
        while t < steps:
            h, c = self.step(inputs[t], h, c, w_hh, b_hh)
            out[t] = h
            t = t + 1
        return out

    def step(self, gates_in, h, c, w_hh, b_hh):
        """One time step: [B, gates * H], [B, H], [B, H] -> new h and c."""
        factor = h if self.rounding is None else rounded(h, self.rounding)
        gates_h = ops.matmul(factor.astype(w_hh.dtype), w_hh).astype(h.dtype) + b_hh
        n = self.hidden
        if self.rnn_type == "LSTM":
            gates = gates_in + gates_h
            c = ops.sigmoid(gates[:, n : 2 * n]) * c + ops.sigmoid(gates[:, :n]) * ops.tanh(gates[:, 2 * n : 3 * n])
            h = ops.sigmoid(gates[:, 3 * n :]) * ops.tanh(c)
        elif self.rnn_type == "GRU":
            r = ops.sigmoid(gates_in[:, :n] + gates_h[:, :n])
            z = ops.sigmoid(gates_in[:, n : 2 * n] + gates_h[:, n : 2 * n])
            new = ops.tanh(gates_in[:, 2 * n :] + r * gates_h[:, 2 * n :])
            h = new + z * (h - new)
        else:
            h = ops.tanh(gates_in + gates_h)
        return h, c


def _reorder(weight, order):
    """Permute the gate blocks stacked along axis 0."""
    blocks = ops.split(weight, weight.shape[0] // len(order), 0)
    return ops.concat([blocks[i] for i in order], 0)


class DynamicLSTM(nn.Cell):
    """Ascend's LSTM kernel: fp16, gates i, j(=g), f, o, input and recurrent weights stacked."""

    def __init__(self):
        super().__init__()
        self.lstm = ops.DynamicRNN()

    def construct(self, x, w_ih, w_hh, b_ih, b_hh):
        order = (0, 2, 1, 3)
        hidden = w_hh.shape[1]
        weight = ops.concat((_reorder(w_ih, order), _reorder(w_hh, order)), 1).T.astype(ms.float16)
        bias = _reorder(b_ih + b_hh, order).astype(ms.float16)
        state = ops.zeros((1, x.shape[1], hidden), ms.float16)
        return self.lstm(x.astype(ms.float16), weight, bias, None, state, state)[0].astype(x.dtype)


class DynamicGRU(nn.Cell):
    """Ascend's GRU kernel: fp16 weights, reset gate after the product, as PyTorch's."""

    def __init__(self):
        super().__init__()
        self.gru = ops.DynamicGRUV2(gate_order="rzh")

    def construct(self, x, w_ih, w_hh, b_ih, b_hh):
        state = ops.zeros((x.shape[1], w_hh.shape[1]), ms.float32)
        out = self.gru(x.astype(ms.float16), w_ih.T.astype(ms.float16), w_hh.T.astype(ms.float16),
                       b_ih, b_hh, None, state)[0]
        return out.astype(x.dtype)

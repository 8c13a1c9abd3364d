"""Layers in plain numpy, for the forward passes that check a runtime. Channel-last as the networks."""

import numpy as np

from src.core.errors import UserError

NORM_EPS = 1e-8


def check_shapes(shapes, weights, path):
    """Raise :class:`UserError` unless ``weights`` ({name: array}, read from ``path``) has all of ``shapes``."""
    for name, shape in shapes.items():
        if name not in weights:
            raise UserError(f"{path}: lacks the parameter {name}: corrupt, or of another architecture")
        if tuple(weights[name].shape) != shape:
            raise UserError(f"{path}: {name} is {tuple(weights[name].shape)}, the network has {shape}: of another "
                            "architecture")


def encode(mixture, weight):
    """[B, T] -> [B, L, N]; ``weight`` [N, kernel_size], stride half the kernel."""
    size = weight.shape[1]
    frames = max(mixture.shape[1] - size, 0) // (size // 2) + 1
    return windows(np.pad(mixture, ((0, 0), (0, size)))[..., None], size, frames)[..., 0] @ weight.T


def decode(x, weight, length):
    """[B, L, C, N] -> [B, C, length]."""
    size = weight.shape[1]
    out = np.pad(overlap_add(np.moveaxis(x @ weight, 2, 3)), ((0, 0), (0, size), (0, 0)))[:, :length]
    return np.ascontiguousarray(np.moveaxis(out, 2, 1))


def normalise(x, kind):
    """gln over all axes but the first; ln over channels; cln over everything up to each step of axis 1."""
    wide = x.astype(np.float64)
    if kind == "cln":
        over = tuple(range(2, x.ndim))
        count = np.arange(1, x.shape[1] + 1).reshape(-1, *[1] * len(over)) * np.prod(x.shape[2:])
        mean = np.cumsum(wide.sum(over, keepdims=True), 1) / count
        variance = np.maximum(np.cumsum((wide**2).sum(over, keepdims=True), 1) / count - mean**2, 0)
    else:
        over = tuple(range(1, x.ndim)) if kind == "gln" else (x.ndim - 1,)
        mean, variance = wide.mean(over, keepdims=True), wide.var(over, keepdims=True)
    return ((wide - mean) / np.sqrt(variance + NORM_EPS)).astype(np.float32)


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def mask_act(x, kind):
    """[..., C, N]: relu, sigmoid, or softmax over C."""
    if kind == "softmax":
        x = np.exp(x - x.max(-2, keepdims=True))
        return x / x.sum(-2, keepdims=True)
    return np.maximum(x, 0) if kind == "relu" else sigmoid(x)


def sigmoid(x):
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)  # exp(-x) would overflow


def windows(x, size, count):
    """[B, T, N] -> [B, count, size, N]: windows that begin every size // 2 steps."""
    places = np.arange(count)[:, None] * (size // 2) + np.arange(size)
    return x[:, places]


def overlap_add(x):
    """[B, count, size, N] -> [B, T, N]: the sum of windows that begin every size // 2 steps."""
    batch, count, size, channels = x.shape
    hop = size // 2
    out = np.zeros((batch, (count - 1) * hop + size, channels), x.dtype)
    for number in range(count):
        out[:, number * hop : number * hop + size] += x[:, number]
    return out

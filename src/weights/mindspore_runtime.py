"""Checkpoints and MINDIR files, run by MindSpore on its current device."""

import os
import shutil
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.core.errors import UserError
from src.core.names import is_text
from src.weights.checkpoint import load_model
from src.weights.checkpoint_file import read, weights_of
from src.weights.trained_model import EXPORTS, read_meta


class MindSporeRun:
    """Mixture float32 [B, T] -> estimates float32 [B, C, T], by a cell that one thread at a time may call."""

    name, lanes = "mindspore", 1

    def __init__(self, cell):
        self._cell = cell

    def __call__(self, mixture):
        return self._cell(Tensor(np.ascontiguousarray(mixture, np.float32))).asnumpy()


def open_checkpoint(path):
    """(MindSporeRun, ModelConfig) of a checkpoint.

    Raises:
        UserError: missing, corrupt or foreign.
    """
    network = load_model(path)
    return MindSporeRun(network), network.config


def open_mindir(path):
    """(MindSporeRun, ModelConfig, meta.json as a dict) of a MINDIR of export.py.

    Raises:
        UserError: missing, corrupt or foreign, or for another device.
    """
    config, meta = read_meta(path)
    if meta["format"] != "MINDIR":
        raise UserError(f"{path}: was converted for MindSpore Lite, which ascend310_infer runs; "
                        "give the checkpoint, MINDIR or ONNX it came from")
    if meta.get("rnn_kernel") == "dynamic" and ms.get_context("device_target") != "Ascend":
        raise UserError(f"{path}: was exported for Ascend (--device_target Ascend) and runs there only")
    return MindSporeRun(load_mindir(path, *meta["input"])), config, meta


def read_weights(path):
    """Configuration and weights of a checkpoint or of a MINDIR.

    Returns:
        tuple: (ModelConfig, {parameter name: array}).
    Raises:
        UserError: missing, corrupt, foreign, of another kind, or in half precision.
    """
    path = Path(path)
    if path.suffix not in EXPORTS:
        config, _, values = read(path)
        return config, weights_of(values)
    config, meta = read_meta(path)
    if meta["format"] != "MINDIR" or meta.get("fp16"):
        raise UserError(f"{path}: {'has half-precision weights' if meta.get('fp16') else 'is not a MindSpore MINDIR'}; "
                        "give the checkpoint it came from")
    return config, {name: p.asnumpy() for name, p in load_mindir(path, *meta["input"]).parameters_dict().items()}


def load_mindir(path, batch=None, length=None):
    """The graph of a MINDIR file as a cell, compiled once for all its input shapes (None: any)."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            if not is_text(os.path.realpath(path)):  # MindSpore takes no other
                path = shutil.copy(path, os.path.join(folder, "model.mindir"))
            cell = nn.GraphCell(ms.load(str(path)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not readable as MINDIR ({' '.join(str(error).split())[:120]})") from None
    if batch is None or length is None:
        cell.set_inputs(Tensor(shape=[batch, length], dtype=ms.float32))
    return cell

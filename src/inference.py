"""Any trained model as one callable: a checkpoint, an exported MINDIR or ONNX."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import AVERAGE_PREFIX, OPTIMIZER_PREFIX, load_model, read
from src.config import ModelConfig
from src.errors import UserError
from src.files import sha256
from src.names import is_text
from src.options import from_dict

EXPORTS = (".mindir", ".onnx")  # what export.py writes


class Model:
    """Mixture float32 [B, T] -> estimates float32 [B, C, T], both numpy.

    Attributes:
        config (ModelConfig): what the model is.
        length (int): the one input length of a fixed-length export, samples; None for any.
        batch (int): the one batch size of such an export; None for any.
    """

    def __init__(self, run, config, batch=None, length=None):
        self._run, self.config, self.batch, self.length = run, config, batch, length

    def __call__(self, mixture):
        if self.length is not None and mixture.shape != (self.batch, self.length):
            return self._fixed(mixture)
        return self._run(Tensor(np.ascontiguousarray(mixture, np.float32))).asnumpy()

    def _fixed(self, mixture):
        """A fixed-length model on shorter or fewer mixtures: padded with zeros, which its norms see."""
        rows, length = mixture.shape
        if length > self.length:
            raise UserError(f"the exported model takes at most {self.length} samples at a time, got {length}; "
                            "export one for any length (export.py without --static_length)")
        out = []
        for start in range(0, rows, self.batch):
            block = np.zeros((self.batch, self.length), np.float32)
            part = mixture[start : start + self.batch]
            block[: len(part), :length] = part
            out.append(self._run(Tensor(block)).asnumpy()[: len(part), :, :length])
        return np.concatenate(out)


def meta_path(model_path):
    """The sidecar of an exported model: model.mindir -> model.meta.json."""
    return Path(model_path).with_suffix(".meta.json")


def read_meta(model_path):
    """What an export says of itself: in its sidecar, which is checked against the model file, or inside an ONNX file.

    Returns:
        tuple: (ModelConfig, the whole meta.json as a dict).
    Raises:
        UserError: missing, not ours, or the model file is not the one that the sidecar describes.
    """
    if Path(model_path).suffix == ".onnx":
        return load_onnx(model_path)[1:]
    path = meta_path(model_path)
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        config = from_dict(ModelConfig, meta["config"], str(path))
        digest, _, (_, _) = meta["sha256"], meta["format"], meta["input"]
    except OSError:
        raise UserError(f"{path}: missing; export.py writes it beside the model, and both belong together") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a meta.json of export.py") from None
    if not Path(model_path).is_file():
        raise UserError(f"{model_path}: no such model")
    if sha256(model_path) != digest:
        raise UserError(f"{model_path}: truncated, corrupt or replaced: its checksum is not the one in {path.name}")
    return config, meta


def open_model(path):
    """Load ``.ckpt``, ``.mindir`` or ``.onnx`` as a :class:`Model`.

    Raises:
        UserError: missing, corrupt, foreign, or of another kind.
    """
    path = Path(path)
    if path.suffix in EXPORTS:
        if not path.is_file():
            raise UserError(f"{path}: no such model")
        if path.suffix == ".onnx":
            run, config, meta = load_onnx(path)
            return Model(run, config, *meta["input"])
        config, meta = read_meta(path)
        if meta["format"] != "MINDIR":
            raise UserError(f"{path}: was converted for MindSpore Lite, which ascend310_infer runs; "
                            "give the checkpoint, MINDIR or ONNX it came from")
        if meta.get("rnn_kernel") == "dynamic" and ms.get_context("device_target") != "Ascend":
            raise UserError(f"{path}: was exported for Ascend (--device_target Ascend) and runs there only")
        return Model(load_mindir(path, *meta["input"]), config, *meta["input"])
    if path.exists() and path.suffix != ".ckpt":
        raise UserError(f"{path}: expected a checkpoint (.ckpt) or an exported model (.mindir, .onnx)")
    network = load_model(path)
    return Model(network, network.config)


def read_config(path):
    """The :class:`ModelConfig` of a checkpoint or an export.

    Raises:
        UserError: missing, corrupt, foreign, or of another kind.
    """
    return read_meta(path)[0] if Path(path).suffix in EXPORTS else read(path)[0]


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
        training = (OPTIMIZER_PREFIX, AVERAGE_PREFIX)
        return config, {name: v for name, v in values.items() if not name.startswith(training)}
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


def load_onnx(path):
    """An ONNX file of export.py, run by ONNX Runtime.

    Returns:
        tuple: (function from Tensor [B, T] to Tensor [B, C, T], ModelConfig, its metadata as in meta.json).
    Raises:
        UserError: missing, corrupt, or not of export.py.
    """
    import onnxruntime

    if not Path(path).is_file():
        raise UserError(f"{path}: no such model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    try:
        # its contents: as a path it takes UTF-8 only
        session = onnxruntime.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class of their own
        raise UserError(f"{path}: not readable as ONNX, truncated or corrupt "
                        f"({' '.join(str(error).split())[:120]})") from None
    text = session.get_modelmeta().custom_metadata_map
    try:
        meta = {**text, "config": json.loads(text["config"]), "input": json.loads(text["input"])}
        config = from_dict(ModelConfig, meta["config"], str(path))
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not an ONNX model of export.py: it carries no DPRNN configuration") from None
    return lambda mixture: Tensor(session.run(None, {"mixture": mixture.asnumpy()})[0]), config, meta

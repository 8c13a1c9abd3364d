"""Any trained model as one callable: a checkpoint or an exported MINDIR."""

import hashlib
import json
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.checkpoint import load_model
from src.config import ModelConfig, from_dict
from src.errors import UserError


class Model:
    """Mixture float32 [B, T] -> estimates float32 [B, C, T], both numpy.

    Attributes:
        config (ModelConfig): what the model is.
        length (int): the one input length of a fixed-length export, samples; None for any.
        batch (int): its one batch size; None for any.
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
                            "export one for any length (export.py without --length)")
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


def file_hash(path):
    """sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_meta(model_path):
    """The sidecar's facts, checked against the model file.

    Raises:
        UserError: no sidecar, not ours, or the model file is not the one it describes.
    """
    path = meta_path(model_path)
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        config = from_dict(ModelConfig, meta["config"], str(path))
        batch, length = meta["input"]
        digest = meta["sha256"]
    except OSError:
        raise UserError(f"{path}: missing; export.py writes it beside the model, and both belong together") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a meta.json of export.py") from None
    if file_hash(model_path) != digest:
        raise UserError(f"{model_path}: truncated, corrupt or replaced: its checksum is not the one in {path.name}")
    return config, batch, length


def open_model(path):
    """Load ``.ckpt`` or ``.mindir`` as a :class:`Model`.

    Raises:
        UserError: missing, corrupt, foreign, or of another kind.
    """
    path = Path(path)
    if path.suffix == ".mindir":
        if not path.is_file():
            raise UserError(f"{path}: no such model")
        config, batch, length = read_meta(path)
        return Model(load_mindir(path), config, batch, length)
    if path.exists() and path.suffix != ".ckpt":
        raise UserError(f"{path}: expected a checkpoint (.ckpt) or an exported model (.mindir)")
    network = load_model(path)
    return Model(network, network.config)


def load_mindir(path):
    """The graph of a MINDIR file as a cell."""
    try:
        return nn.GraphCell(ms.load(str(path)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not readable as MINDIR ({' '.join(str(error).split())[:120]})") from None

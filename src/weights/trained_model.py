"""Any trained model as one callable: a checkpoint, an exported MINDIR or ONNX, in the runtime that suits it."""

import json
import sys
from pathlib import Path

import numpy as np

from src.core.device import resolve_target, setup
from src.core.errors import UserError
from src.core.files import sha256
from src.network.registry import read_config as family_config
from src.weights import ready_models
from src.weights.checkpoint_file import read

EXPORTS = (".mindir", ".onnx")  # what export.py writes


class Model:
    """Mixture float32 [B, T] -> estimates float32 [B, C, T], both numpy.

    Attributes:
        config (ModelConfig): what the model is.
        length (int): the one input length of a fixed-length export, samples; None for any.
        batch (int): the one batch size of such an export; None for any.
        path (Path): of its file; None without one.
        runtime (str): what runs it, onnx or mindspore.
        lanes (int): how many threads may call it at the same time, and :attr:`lane` to some purpose.
    """

    def __init__(self, run, config, batch=None, length=None, path=None):
        self._run, self.config, self.batch, self.length, self.path = run, config, batch, length, path
        self.runtime, self.lanes = run.name, run.lanes

    @property
    def lane(self):
        """The same model on its share of the cores, for ``lanes`` calls at the same time: the same results."""
        return self if self.lanes == 1 else Model(self._run.lane, self.config, self.batch, self.length, self.path)

    def __call__(self, mixture):
        if self.length is not None and mixture.shape != (self.batch, self.length):
            return self._fixed(mixture)
        return self._run(mixture)

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
            out.append(self._run(block)[: len(part), :, :length])
        return np.concatenate(out)


def load_model(path=None, runtime="auto", device_target="auto", device_id=0):
    """A model of any kind as a :class:`Model`.

    Args:
        path: of a checkpoint (.ckpt), MINDIR or ONNX, or the name of a ready model; None: the default one.
        runtime (str): onnx (ONNX Runtime, on the CPU), mindspore, or auto: ONNX Runtime for a checkpoint where there is
            no Ascend, and for other files the one that they are made for.
        device_target (str), device_id (int): for MindSpore.
    Raises:
        UserError: missing, corrupt, foreign, or of another kind; a runtime that cannot run it; no such device.
    """
    path = Path(ready_models.find(path))
    if path.suffix != ".ckpt" and path.suffix not in EXPORTS and path.exists():
        raise UserError(f"{path}: expected a checkpoint (.ckpt) or an exported model (.mindir, .onnx)")
    if not path.is_file():
        what = "checkpoint" if path.suffix == ".ckpt" else "model"
        raise UserError(f"{path}: no such {what}{ready_models.hint(path)}")
    if choose_runtime(path, runtime, device_target) == "onnx":
        try:
            return _with_onnx(path)
        except UserError as error:
            from src.weights.onnx_cache import NotByOnnx

            if runtime == "onnx" or not isinstance(error, NotByOnnx):
                raise
            print(f"note: {error}; MindSpore runs it", file=sys.stderr, flush=True)
    setup(device_target, device_id)
    from src.weights.mindspore_runtime import open_checkpoint, open_mindir  # takes seconds

    if path.suffix == ".mindir":
        run, config, meta = open_mindir(path)
        return Model(run, config, *meta["input"], path=path)
    return Model(*open_checkpoint(path), path=path)


def choose_runtime(path, runtime="auto", device_target="auto"):
    """``onnx`` or ``mindspore`` for a model file; see :func:`load_model`.

    Raises:
        UserError: the wanted one cannot run it.
    """
    made_for = {".onnx": "onnx", ".mindir": "mindspore"}.get(path.suffix)
    if runtime == "onnx" and device_target == "Ascend":
        raise UserError("--runtime onnx runs on the CPU; leave --device_target Ascend or --runtime out")
    if made_for:
        if runtime not in ("auto", made_for):
            raise UserError(f"--runtime {runtime}: {path} is made for {made_for}; give the checkpoint it came from")
        return made_for
    if runtime != "auto":
        return runtime
    return "mindspore" if resolve_target(device_target) == "Ascend" else "onnx"


def _with_onnx(path):
    if path.suffix == ".onnx":
        from src.weights.onnx_runtime import load_onnx

        run, config, meta = load_onnx(path)
        return Model(run, config, *meta["input"], path=path)
    from src.weights.onnx_cache import open_checkpoint

    return Model(*open_checkpoint(path), path=path)


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
        from src.weights.onnx_runtime import load_onnx

        return load_onnx(model_path)[1:]
    path = meta_path(model_path)
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        config = family_config(meta.get("family", "dprnn"), meta["config"], str(path))
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


def read_config(path):
    """The :class:`ModelConfig` of a checkpoint (or ready model) or an export.

    Raises:
        UserError: missing, corrupt, foreign, or of another kind.
    """
    return read_meta(path)[0] if Path(path).suffix in EXPORTS else read(path)[0]

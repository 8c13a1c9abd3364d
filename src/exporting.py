"""A checkpoint as MINDIR with its meta.json, checked against the checkpoint before it gets its name."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src import __version__
from src.checkpoint import load_model
from src.errors import UserError
from src.inference import file_hash, load_mindir, meta_path

TOLERANCE = 1e-5  # largest absolute difference of samples in [-1, 1] from the checkpoint
CHECK_SECONDS = (0.3, 1.0, 2.1)  # lengths a model for any length is checked on; one is shorter than a chunk


def export(config):
    """Write what :class:`src.config.ExportConfig` asks for. Returns (path, largest difference found).

    Raises:
        UserError: no such checkpoint, a folder that cannot be written, or a file that does not agree.
    """
    network = load_model(config.ckpt_path)
    rate = network.config.sample_rate
    path = Path(config.file_name) if config.file_name else Path(config.ckpt_path).with_suffix(".mindir")
    if path.suffix != ".mindir":
        path = path.with_name(path.name + ".mindir")
    length = round(config.length * rate) if config.length else None
    batch = config.batch_size if length else None
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.mindir")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        example = Tensor(shape=[batch, length], dtype=ms.float32)
        if length:
            example = Tensor(np.zeros((batch, length), np.float32))
            network = _static(network, config.ckpt_path, example)
        ms.export(network, example, file_name=str(temporary), file_format="MINDIR")
        os.chmod(temporary, 0o644)  # MindSpore leaves it read-only
        difference = check(temporary, load_model(config.ckpt_path), batch, length)
        meta = {"format": "MINDIR", "sample_rate": rate, "num_spks": network.config.num_spks,
                "input": [batch, length], "config": dataclasses.asdict(network.config),
                "checkpoint": Path(config.ckpt_path).name, "checkpoint_sha256": file_hash(config.ckpt_path),
                "sha256": file_hash(temporary), "created_by": f"dprnn {__version__}, mindspore {ms.__version__}"}
        sidecar = temporary.with_suffix(".json")
        sidecar.write_text(json.dumps(meta, indent=1), encoding="utf-8")
        os.replace(temporary, path)
        os.replace(sidecar, meta_path(path))
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # written and renamed, or its folder is a file
            temporary.unlink()
    return path, difference


def _static(network, ckpt_path, example):
    """The same network compiled for one input shape."""
    fresh = load_model(ckpt_path)
    fresh.set_inputs(example)
    return fresh


def check(path, network, batch, length):
    """Largest difference between a MINDIR and the network it came from, on noise.

    Raises:
        UserError: it is above TOLERANCE.
    """
    exported = load_mindir(path)
    rate = network.config.sample_rate
    shapes = [(batch, length)] if length else [(n + 1, round(rate * s)) for n, s in enumerate(CHECK_SECONDS)]
    worst = 0.0
    for shape in shapes:
        mixture = Tensor(np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32))
        worst = max(worst, float(np.abs(exported(mixture).asnumpy() - network(mixture).asnumpy()).max()))
    if not worst <= TOLERANCE:  # NaN fails too
        raise UserError(f"the exported model differs from the checkpoint by {worst:.2e}, more than {TOLERANCE:.0e}; "
                        "nothing written")
    return worst

"""The C++ program as tests use it: built once, and small models for it whose output is known."""

import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.synth import ROOT, run

HERE = ROOT / "ascend310_infer"


@functools.cache
def build(sanitize=False):
    """Folder of the built programs."""
    folder = Path(os.environ.get("BUILD_DIR", HERE)) / ("build-sanitize" if sanitize else "build")
    with open(HERE / ".build.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test files run side by side
        result = run("ascend310_infer/build.sh", timeout=900,
                     env={"SANITIZE": str(int(sanitize)), "BUILD_DIR": str(folder)})
    assert result.returncode == 0, result.stderr
    return folder


def call(program, *args, sanitize=False, text=True, env=None):
    """Run one of the built programs."""
    return subprocess.run([str(build(sanitize) / program), *map(str, args)], capture_output=True, text=text,
                          timeout=600, env={**os.environ, **(env or {})})


def write_sidecar(model, **changes):
    """model.mindir -> model.meta.json as export.py writes it."""
    meta = {"format": "MINDIR_LITE", "sample_rate": 8000, "num_spks": 2, "input": [None, None],
            "config": {"kernel_size": 16}, "sha256": hashlib.sha256(Path(model).read_bytes()).hexdigest()}
    Path(model).with_suffix(".meta.json").write_text(json.dumps({**meta, **changes}))


def bands(mixture, gain=1.0):
    """What the model of :func:`write_bands` gives: [T] -> [2, T], a smoothed copy and the rest, times ``gain``."""
    padded = np.pad(mixture, 1)
    smooth = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return gain * np.stack([smooth, mixture - smooth])


def write_bands(path, gain=1.0, batch=None, length=None):
    """A model that splits its input into two bands: ``path`` (.mindir) and its sidecar."""
    constants = {"pads": np.array([0, 1, 0, 1]), "axes": np.array([1]), "ends": np.array([np.iinfo(np.int64).max]),
                 **{f"n{i}": np.array([i]) for i in (-2, -1, 0, 1, 2)},
                 **{name: np.array([value], np.float32) for name, value in
                    (("quarter", 0.25), ("half", 0.5), ("gain", gain))}}
    nodes = [("Pad", ["mixture", "pads"], "padded"),
             ("Slice", ["padded", "n0", "n-2", "axes"], "left"), ("Slice", ["padded", "n1", "n-1", "axes"], "middle"),
             ("Slice", ["padded", "n2", "ends", "axes"], "right"), ("Add", ["left", "right"], "sides"),
             ("Mul", ["sides", "quarter"], "a"), ("Mul", ["middle", "half"], "b"), ("Add", ["a", "b"], "smooth"),
             ("Sub", ["mixture", "smooth"], "rest"), ("Unsqueeze", ["smooth", "axes"], "first"),
             ("Unsqueeze", ["rest", "axes"], "second"), ("Concat", ["first", "second"], "both"),
             ("Mul", ["both", "gain"], "estimates")]
    axis = {"Concat": {"axis": 1}}
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], **axis.get(op, {})) for op, inputs, output in nodes], "bands",
        [helper.make_tensor_value_info("mixture", TensorProto.FLOAT, [batch or "batch", length or "time"])],
        [helper.make_tensor_value_info("estimates", TensorProto.FLOAT, [batch or "batch", 2, length or "time"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    source = Path(path).with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    result = call("dprnn_convert", source, path)
    assert result.returncode == 0, result.stderr
    write_sidecar(path, input=[batch, length])
    return path


def random_network(**changes):
    """Configuration and weights of an untrained network whose norms and biases matter: (ModelConfig, {name: array})."""
    from src.network.dprnn.config import ModelConfig
    from src.network.dprnn.model import DPRNNTasNet

    config = ModelConfig(**changes)
    rng = np.random.default_rng(0)
    weights = {p.name: p.asnumpy() for p in DPRNNTasNet(config).get_parameters()}
    return config, {name: (w + rng.normal(0, 0.05, w.shape)).astype(np.float32) for name, w in weights.items()}


def write_network(path, config, weights):
    """A Lite model of any length, ``path`` (.mindir), with its sidecar; returns the ONNX it came from as a Model."""
    from src.export.write_model import write_meta
    from src.network.dprnn.onnx_graph import build as build_onnx
    from src.weights.trained_model import load_model

    meta = {"format": "MINDIR_LITE", "sample_rate": config.sample_rate, "num_spks": config.num_spks,
            "input": [None, None], "config": dataclasses.asdict(config)}
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in meta.items()}
    source = Path(path).with_suffix(".onnx")
    onnx.save(build_onnx(config, weights, text), source)
    result = call("dprnn_convert", source, path)
    assert result.returncode == 0, result.stderr
    write_meta(Path(path), meta)
    return load_model(source)

"""Checkpoints for ONNX Runtime: each becomes an ONNX graph once, is compared with numpy, and is kept in a cache.

The cache is the folder in the environment variable DPRNN_CACHE_DIR, else dprnn/ below XDG_CACHE_HOME or ~/.cache. A
file there has a name that follows from the checkpoint's SHA-256, the code that makes graphs and the runtime's version,
and ends with the SHA-256 of what it holds. Where it cannot be written, the graph is made for each process anew.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from src.core import files
from src.core.errors import UserError
from src.network.registry import FAMILIES, family_of
from src.weights.checkpoint_file import parse, weights_of
from src.weights.onnx_runtime import load_onnx

LAYERS = "src/network/layers"  # graphs are made of these and of their families
TOLERANCE = 1e-4  # largest absolute difference from the checkpoint, samples in [-1, 1]
KEPT = 20  # graphs in the cache; the ones not used for longest go first
NAME = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\.onnx|\.[0-9a-f]{64}-[0-9a-f]{16}\..+")
DIGEST_BYTES = 32


class NotByOnnx(UserError):
    """ONNX Runtime cannot run this checkpoint."""


class Disagrees(NotByOnnx):
    """ONNX Runtime computes something else than the checkpoint."""


def open_checkpoint(path):
    """A checkpoint, run by ONNX Runtime.

    Returns:
        tuple: (src.weights.onnx_runtime.OnnxRun, ModelConfig).
    Raises:
        UserError: missing, corrupt or foreign file; :class:`Disagrees`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from None
    place = _place(data)
    graph = read(place)
    if graph is not None:
        with contextlib.suppress(UserError):  # of a runtime that cannot read it any more: made anew
            return load_onnx(path, graph)[:2]
    config, _, values = parse(data, path)
    weights = weights_of(values)
    family = family_of(config)
    if family.onnx_graph is None:
        raise NotByOnnx(f"{path}: ONNX Runtime does not run the network family {config.family}")
    if family.check_weights:
        family.check_weights(config, weights, path)
    graph = make(config, weights)
    found = load_onnx(path, graph)[0]
    compare(found, config, weights, path)
    write(place, graph)
    return found, config


def folder():
    """Where graphs are kept."""
    own, base = os.environ.get("DPRNN_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME", "")
    if own:
        return Path(own)
    # the standard takes absolute paths only
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~"), ".cache")) / "dprnn"


def _place(data):
    """The file for a checkpoint that holds ``data``."""
    return folder() / f"{hashlib.sha256(data).hexdigest()}-{_version()}.onnx"


@functools.cache
def _version():
    """Changes with the code that makes graphs, and with what runs them."""
    import onnxruntime

    digest = hashlib.sha256(onnxruntime.__version__.encode())
    # another graph follows from other code
    folders = [(files.ROOT / name.replace(".", "/")).parent for name in FAMILIES.values()]
    for folder in (*folders, files.ROOT / LAYERS):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]


def make(config, weights):
    """The ONNX file of a checkpoint, as bytes, for any batch and length."""
    facts = {"family": config.family, "config": json.dumps(dataclasses.asdict(config)),
             "input": json.dumps([None, None])}
    # imports onnx, which a graph from the cache does not need
    return family_of(config).onnx_graph(config, weights, facts, None, None).SerializeToString()


def compare(run, config, weights, path):
    """Compare a graph with numpy's forward pass, or where the family has none with MindSpore's, on noise.

    Raises:
        Disagrees: they differ by more than TOLERANCE.
    """
    family, rng = family_of(config), np.random.default_rng(0)
    forward = family.numpy_forward or _by_mindspore
    for rows, samples in zip((2, 1), family.check_samples(config)):
        mixture = rng.normal(0, 0.1, (rows, samples)).astype(np.float32)
        difference = float(np.abs(run(mixture) - forward(config, weights, mixture)).max())
        if not difference <= TOLERANCE:  # NaN fails too
            raise Disagrees(f"{path}: ONNX Runtime differs from the checkpoint by {difference:.1e} (limit "
                            f"{TOLERANCE}); use --runtime mindspore")


def _by_mindspore(config, weights, mixture):
    from mindspore import Tensor  # takes seconds, once for each checkpoint

    from src.weights.checkpoint import build_model

    return build_model(config, weights, "the checkpoint")(Tensor(mixture)).asnumpy()


def read(place):
    """What :func:`write` was given; None if there is nothing, or nothing whole."""
    try:
        data = place.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a folder that is only for reading
        os.utime(place)  # used just now
    graph, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    return graph if hashlib.sha256(graph).digest() == digest else None


def write(place, graph):
    """Keep bytes under a name: other processes see all of it or nothing."""
    try:
        if not place.is_absolute() and place.parts[0] == "~":
            raise OSError("this user has no home folder")
        files.write(place, graph + hashlib.sha256(graph).digest(), durable=False)  # it can be made again
        _forget_old(place.parent)
    except OSError as error:
        print(f"note: {place.parent}: cannot be written ({error.strerror or error}), so the next start takes longer; "
              "DPRNN_CACHE_DIR names another folder", file=sys.stderr, flush=True)


def _forget_old(place):
    """Remove the files that were not used for longest; what was left half-written grows old as well."""
    ours = [path for path in place.iterdir() if NAME.fullmatch(path.name)]
    with contextlib.suppress(OSError):  # another process may do the same
        ours.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in ours[KEPT:]:
        with contextlib.suppress(OSError):
            path.unlink()

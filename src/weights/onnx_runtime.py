"""ONNX models on the CPU, run by ONNX Runtime."""

import json
import os
import threading
from pathlib import Path

import numpy as np

from src.core.device import local_workers
from src.core.errors import UserError
from src.network.registry import read_config as family_config

LANES = 2  # windows of a long recording that are run at the same time, each on its share of the cores


class OnnxRun:
    """Mixture float32 [B, T] -> estimates float32 [B, C, T], by one graph. Threads may call it at the same time.

    Args:
        source: bytes of an ONNX file, or its path.
        path: for messages.
        cores (int): that a call may use; None: this process's share of the machine.
    Attributes:
        lanes (int): how many calls of :attr:`lane` at the same time keep all of them busy.
    """

    name = "onnx"

    def __init__(self, source, path, cores=None):
        self._source, self._path, self._lane, self._lock = source, path, None, threading.Lock()
        self._cores = cores or max(1, len(os.sched_getaffinity(0)) // local_workers())
        self.lanes = min(LANES, self._cores)
        self._session = open_session(source, path, self._cores)

    def __call__(self, mixture):
        return self._session.run(None, {"mixture": np.ascontiguousarray(mixture, np.float32)})[0]

    @property
    def lane(self):
        """The same on a share of the cores, opened when it is first asked for.

        A call of its own for each window costs less than several threads in one call, which wait for each other. The
        results are the same, bit for bit.
        """
        with self._lock:
            if self._lane is None:
                self._lane = OnnxRun(self._source, self._path, self._cores // self.lanes)
        return self._lane

    def metadata(self):
        """What the file says of itself: {key: text}."""
        return self._session.get_modelmeta().custom_metadata_map


def open_session(source, path, threads):
    """An ONNX Runtime session.

    Args:
        source: bytes of an ONNX file, or its path.
        path: for messages.
        threads (int): that share each operator.
    Raises:
        UserError: it is no ONNX file that the runtime can run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # threads that wait would take the cores from those that work
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class of their own
        raise UserError(f"{path}: not readable as ONNX, truncated or corrupt "
                        f"({' '.join(str(error).split())[:120]})") from None


def load_onnx(path, source=None):
    """An ONNX model of export.py or of src/weights/onnx_cache.py.

    Args:
        source (bytes): what the file holds; None: it is read.
    Returns:
        tuple: (OnnxRun, ModelConfig, its metadata as in meta.json).
    Raises:
        UserError: missing, corrupt, or not of this project.
    """
    if source is None and not Path(path).is_file():
        raise UserError(f"{path}: no such model")
    found = OnnxRun(Path(path).read_bytes() if source is None else source, path)  # as a path it takes UTF-8 only
    text = found.metadata()
    try:
        meta = {**text, "config": json.loads(text["config"]), "input": json.loads(text["input"])}
        config = family_config(meta.get("family", "dprnn"), meta["config"], str(path))
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not an ONNX model of export.py: it carries no configuration of a network") from None
    return found, config, meta

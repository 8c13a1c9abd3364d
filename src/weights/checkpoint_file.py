"""Checkpoint files as MindSpore writes them, read without MindSpore, which takes seconds to load."""

import functools
import json
import zlib
from pathlib import Path

import numpy as np

from src.core.errors import UserError
from src.network.registry import read_config
from src.weights import ready_models

FORMAT = "speech-separation/2"
FIRST_FORMAT = "dprnn-tasnet/1"  # without family and task: there was one of each
SEPARATION = "separation"
OPTIMIZER_PREFIX = "optimizer."
AVERAGE_PREFIX = "average."
CHECKSUM_MARK, CHECKSUM_BYTES = b"crc_num", 10  # what save_checkpoint(crc_check=True) puts at the end: CRC-32
TEXT = "str"  # the type name of a text, which is stored as UTF-32
TYPES = {"Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float16", "Float32", "Float64",
         "Bool"}


class Unreadable(UserError):
    """A checkpoint that is truncated or corrupt."""


def read(path):
    """Read a checkpoint of ours.

    Args:
        path: of the file, or the name of a ready model.
    Returns:
        tuple: (ModelConfig, info dict, {name: array}).
    Raises:
        UserError: missing, truncated or corrupt (:class:`Unreadable`), or not written by this project.
    """
    path = Path(ready_models.find(path))
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected a checkpoint file (.ckpt)")
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint{ready_models.hint(path)}")
    if path.suffix != ".ckpt":
        raise UserError(f"{path}: not a checkpoint: the name must end in .ckpt")
    try:
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from None


def parse(data, path):
    """What :func:`read` returns, of the contents ``data`` (bytes) of a file ``path``, which errors name."""
    try:
        checked, entries = _entries(data)
        found = _value(*entries.pop("format")) if entries.get("format", [None])[0] == TEXT else None
        if found not in (FORMAT, FIRST_FORMAT):
            raise UserError(f"{path}: a checkpoint of another project or version: it carries no "
                            "configuration of a network; "
                            "use one written by train.py here")
        if not checked:
            raise ValueError("its checksum is missing")
        values = {name: _value(*entry) for name, entry in entries.items()}
    except ValueError as error:
        raise Unreadable(f"{path}: not readable as a checkpoint, truncated or corrupt ({error})") from None
    family, task = values.pop("family", "dprnn"), values.pop("task", SEPARATION)
    config = read_config(family, json.loads(values.pop("model_config")), f"{path} (configuration inside)")
    return config, json.loads(values.pop("info")) | {"task": task}, values


def weights_of(values):
    """The weights among what :func:`read` found, without what only training needs."""
    return {name: value for name, value in values.items() if not name.startswith((OPTIMIZER_PREFIX, AVERAGE_PREFIX))}


def _entries(data):
    """(whether the checksum is there, {name: (type, shape, bytes)}).

    Raises:
        ValueError: the checksum is another one, or these are not the messages of a checkpoint.
    """
    body, end = data[: -len(CHECKSUM_MARK) - CHECKSUM_BYTES], data[-len(CHECKSUM_MARK) - CHECKSUM_BYTES :]
    checked = end.startswith(CHECKSUM_MARK)
    if checked and zlib.crc32(body) != int.from_bytes(end[len(CHECKSUM_MARK) :], "big"):
        raise ValueError("its checksum is another one")
    from google.protobuf.message import DecodeError

    try:
        message = _message_class().FromString(body if checked else data)
    except DecodeError:
        raise ValueError("its messages cannot be parsed") from None
    if not message.value:
        raise ValueError("it holds nothing")
    entries = {}
    for value in message.value:  # a large array comes in several pieces
        before = entries[value.tag][2] if value.tag in entries else b""
        entries[value.tag] = value.tensor.tensor_type, tuple(value.tensor.dims), before + value.tensor.tensor_content
    return checked, entries


def _value(kind, dims, content):
    """A text, or an array of its own memory."""
    if kind == TEXT:
        return str(np.frombuffer(content, f"U{len(content) // 4}")[0]) if content else ""
    if kind not in TYPES:
        raise ValueError(f"it holds values of type {kind[:40]!r}")
    return np.frombuffer(content, kind.lower()).reshape(() if dims == (0,) else dims).copy()


@functools.cache
def _message_class():
    """The message Checkpoint of mindspore/train/checkpoint.proto, as far as tensors go, in a pool of its own."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="dprnn_checkpoint.proto", package="dprnn", syntax="proto2")

    def message(name, *fields):
        file.message_type.add(name=name).field.extend(
            kinds(name=field, number=number, label=label, type=kind, type_name=type_name)
            for field, number, label, kind, type_name in fields)

    message("Tensor", ("dims", 1, kinds.LABEL_REPEATED, kinds.TYPE_INT64, None),
            ("tensor_type", 2, kinds.LABEL_REQUIRED, kinds.TYPE_STRING, None),
            ("tensor_content", 3, kinds.LABEL_REQUIRED, kinds.TYPE_BYTES, None))
    message("Value", ("tag", 1, kinds.LABEL_REQUIRED, kinds.TYPE_STRING, None),
            ("tensor", 2, kinds.LABEL_OPTIONAL, kinds.TYPE_MESSAGE, ".dprnn.Tensor"))
    message("Checkpoint", ("value", 1, kinds.LABEL_REPEATED, kinds.TYPE_MESSAGE, ".dprnn.Value"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("dprnn.Checkpoint"))

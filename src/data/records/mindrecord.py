"""The record schema, the shard writer and a plain reader."""

import os
import shutil
import zlib
from pathlib import Path

import numpy as np

from src.core.errors import UserError
from src.core.names import is_text

# PCM travels as bytes: MindRecord has no int16.
SCHEMA = {
    "id": {"type": "string"},
    "index": {"type": "int64"},  # number of the row in its subset, 0 .. n-1
    "length": {"type": "int32"},  # samples
    "sample_rate": {"type": "int32"},  # Hz
    "mixture": {"type": "bytes"},  # int16 little-endian [T]
    "sources": {"type": "bytes"},  # int16 little-endian [C, T]
}
# One voice (or noise) alone: a recording, or a piece of a long one.
RECORDING_SCHEMA = {
    "id": {"type": "string"},
    "speaker": {"type": "string"},
    "length": {"type": "int32"},  # samples
    "sample_rate": {"type": "int32"},  # Hz
    "level": {"type": "float32"},  # of src.audio.levels.active_level, dBFS
    "pcm": {"type": "bytes"},  # int16 little-endian [T]
}
# A row must fit one page. Files are padded to whole pages (with holes, where the file system has them).
PAGE_BYTES = 1 << 25
MIN_PAGE_BYTES, MAX_PAGE_BYTES = 1 << 15, 1 << 28  # MindRecord's bounds
ROW_OVERHEAD = 1 << 10  # bytes a row takes beside its PCM, rounded up
SMALL_HEADER_BYTES = 1 << 20  # of MindRecord's 16 MB, for a file of few pages
WRITE_BYTES = 1 << 25  # rows are handed to MindRecord in blocks of about this size


def row(identifier, index, sample_rate, mixture, sources):
    """One record from int16 mixture [T] and sources [C, T]."""
    return {"id": identifier, "index": int(index), "length": int(mixture.shape[-1]), "sample_rate": int(sample_rate),
            "mixture": np.ascontiguousarray(mixture, "<i2").tobytes(),
            "sources": np.ascontiguousarray(sources, "<i2").tobytes()}


def recording_row(identifier, speaker, sample_rate, level, pcm):
    """One record of :data:`RECORDING_SCHEMA` from int16 samples [T]."""
    return {"id": identifier, "speaker": speaker, "length": len(pcm), "sample_rate": int(sample_rate),
            "level": float(np.float32(level)), "pcm": np.ascontiguousarray(pcm, "<i2").tobytes()}


def row_bytes(samples, speakers):
    """Room a row of so many samples and sources takes in a page."""
    return 2 * samples * (1 + speakers) + ROW_OVERHEAD


def page_bytes(sizes):
    """Page size for a shard with rows of ``sizes`` (of :func:`row_bytes`): small for a small shard, else 32 MB, more
    for a row that needs more. Rows beyond ``MAX_PAGE_BYTES`` fit no page."""
    sizes = [size for size in sizes if size <= MAX_PAGE_BYTES] or [0]
    wanted = max(max(sizes), min(sum(sizes), PAGE_BYTES), MIN_PAGE_BYTES)
    return 1 << (wanted - 1).bit_length()


def check_place(folder):
    """Raise :class:`UserError` for a folder that MindSpore cannot have records in."""
    if not is_text(os.path.realpath(folder)):
        raise UserError(f"{folder}: MindSpore reads and writes records only where the whole path is UTF-8; rename the "
                        "folder, or choose another")


def write_shard(path, rows, page=PAGE_BYTES, schema=SCHEMA):
    """Write an iterable of rows to a new MindRecord file, read it back, and return the number of rows.

    No rows, no file. A finished file must keep its name; the folder it is in may be renamed.

    Raises:
        UserError: a row does not fit ``page`` bytes, the disk refuses, or the file holds other rows than it was given.
    """
    from mindspore.mindrecord import FileWriter  # seconds to load: only where it is needed
    from mindspore.mindrecord.common.exceptions import MindRecordException

    path = Path(path)
    count = checksum = size = 0
    block = []
    try:
        writer = FileWriter(str(path), 1, overwrite=True)
        writer.set_page_size(page)
        if page < PAGE_BYTES:
            writer.set_header_size(SMALL_HEADER_BYTES)
        writer.add_schema(schema, "speech")
        for item in rows:
            pcm_bytes = sum(len(value) for value in item.values() if isinstance(value, bytes))
            if pcm_bytes + ROW_OVERHEAD > page:
                raise UserError(f"{path}: row {item['id']} has {pcm_bytes} bytes, more than a page of {page} holds")
            checksum = _checksum(item, checksum)
            count, size = count + 1, size + pcm_bytes
            block.append(item)
            if size > WRITE_BYTES:
                writer.write_raw_data(block)
                block, size = [], 0
        if not count:
            return 0
        if block:
            writer.write_raw_data(block)
        writer.commit()
        for name in (path, Path(f"{path}.db")):
            os.chmod(name, 0o644)  # MindRecord keeps them to the owner
    except (RuntimeError, MindRecordException) as error:
        raise UserError(f"{path}: cannot write records: {_reason(path, error)}") from None
    # MindRecord drops rows it does not like without a word
    kept = found = 0
    for item in stored_rows(path):
        kept, found = kept + 1, _checksum(item, found)
    if (kept, found) != (count, checksum):
        raise UserError(f"{path}: {count} rows were written, {kept} read back{'' if kept != count else ', changed'}; "
                        "is the disk full or failing?")
    return count


def read_rows(files):
    """Yield the rows of shards in order, one file after the other.

    Yields:
        dict: id (str), index, length, sample_rate (int), mixture (int16 [T]), sources (int16 [C, T]).
    Raises:
        UserError: a shard cannot be read.
    """
    for path in files:
        for item in stored_rows(path):
            length = int(item["length"])
            yield {"id": item["id"], "index": int(item["index"]), "length": length,
                   "sample_rate": int(item["sample_rate"]), "mixture": np.frombuffer(item["mixture"], "<i2"),
                   "sources": np.frombuffer(item["sources"], "<i2").reshape(-1, length)}


def stored_rows(path, chosen=None):
    """Yield the rows of one shard in the form they were written; ``chosen``: only these places in the shard.

    Raises:
        UserError: the shard cannot be read.
    """
    from mindspore.dataset import MindDataset, SubsetSampler

    try:
        order = dict(shuffle=False) if chosen is None else dict(sampler=SubsetSampler(list(chosen)))
        data = MindDataset([str(path)], num_parallel_workers=1, **order)
        for item in data.create_dict_iterator(num_epochs=1, output_numpy=True):
            # tobytes: indexing an |S array would strip zeros from the end
            yield {name: value.tobytes() if value.dtype.kind == "S" else value.item()
                   for name, value in item.items()}
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path}: cannot read records: {_reason(path, error)}") from None


def row_checksum(item):
    """CRC-32 of a row in the form it is written: all its columns."""
    return _checksum(item, 0)


def _checksum(item, before):
    for name in sorted(item):
        value = item[name]
        before = zlib.crc32(value if isinstance(value, bytes) else str(value).encode(), before)
    return before


def _reason(path, error):
    """The telling line of MindRecord's long messages."""
    lines = [line.strip() for line in str(error).splitlines()]
    marked = [line.split("]", 1)[1].strip() for line in lines if line.startswith("[ERROR]")]
    text = (marked or [line for line in lines if line] or [type(error).__name__])[0][:200]
    try:
        free = shutil.disk_usage(Path(path).parent).free
    except OSError:
        return text
    return f"the disk is full ({free >> 10} KB free)" if free < 1 << 20 else text

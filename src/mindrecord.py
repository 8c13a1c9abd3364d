"""The record schema and the shard writer."""

import os
from pathlib import Path

import numpy as np

from src.errors import UserError

# PCM travels as bytes: MindRecord has no int16.
SCHEMA = {
    "id": {"type": "string"},
    "index": {"type": "int64"},  # a number no other row of the subset has
    "length": {"type": "int32"},  # samples
    "sample_rate": {"type": "int32"},  # Hz
    "mixture": {"type": "bytes"},  # int16 little-endian [T]
    "sources": {"type": "bytes"},  # int16 little-endian [C, T]
}
PAGE_BYTES = 1 << 25  # MindRecord's default page, 32 MB: a row must fit
WRITE_BYTES = 1 << 25  # rows are handed to MindRecord in blocks of about this size


def row(identifier, index, sample_rate, mixture, sources):
    """One record from int16 mixture [T] and sources [C, T]."""
    return {"id": identifier, "index": int(index), "length": int(mixture.shape[-1]), "sample_rate": int(sample_rate),
            "mixture": np.ascontiguousarray(mixture, "<i2").tobytes(),
            "sources": np.ascontiguousarray(sources, "<i2").tobytes()}


def row_fits(samples, speakers):
    """Whether a row of so many samples and sources fits MindRecord's page."""
    return 2 * samples * (1 + speakers) < PAGE_BYTES - (1 << 16)


def write_shard(path, rows):
    """Write an iterable of :func:`row` to a new MindRecord file, in blocks; returns how many (0: no file).

    Raises:
        UserError: the disk refuses, or MindRecord kept fewer rows than it was given.
    """
    from mindspore.dataset import MindDataset  # seconds to load: only where it is needed
    from mindspore.mindrecord import FileWriter

    path = Path(path)
    count, block, size = 0, [], 0
    try:
        writer = FileWriter(str(path), 1, overwrite=True)
        writer.add_schema(SCHEMA, "two-speaker mixtures and their sources")
        for item in rows:
            block.append(item)
            count += 1
            size += len(item["mixture"]) + len(item["sources"])
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
        # MindRecord drops rows it does not like without a word
        kept = MindDataset([str(path)]).get_dataset_size()
    except RuntimeError as error:  # MindRecord's errors
        raise UserError(f"{path}: cannot write records ({' '.join(str(error).split())[:160]})") from None
    if kept != count:
        raise UserError(f"{path}: MindRecord kept {kept} of {count} rows")
    return count

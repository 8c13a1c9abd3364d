"""manifest.json: what a record folder holds. Written last, it is what makes the folder valid."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src.errors import UserError

NAME = "manifest.json"
VERSION = 1


@dataclass
class Manifest:
    """Facts of one record folder. Lengths are in samples; ``shards`` is a list of {file, rows, bytes}."""

    subset: str
    corpus: str  # the mixture folder the rows came from
    task: str
    num_spks: int
    sample_rate: int
    rows: int
    hours: float
    min_length: int
    max_length: int
    shards: list
    skipped: dict = field(default_factory=dict)  # reason -> names
    created_by: str = ""
    version: int = VERSION


def write_manifest(folder, manifest):
    """Write it under a temporary name, then rename."""
    path = Path(folder) / NAME
    temporary = path.with_name(f".{NAME}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_manifest(folder):
    """The manifest of a finished record folder, its shards checked for presence and size.

    Raises:
        UserError: no such folder, not a finished record folder, another version, a shard missing or truncated.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; preprocess.py makes record folders")
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"{folder}: not a finished record folder (no {NAME}); run preprocess.py")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.get("version") != VERSION:
            raise UserError(f"{path}: version {values.get('version')}, expected {VERSION}; run preprocess.py again")
        manifest = Manifest(**values)
        shards = [(folder / s["file"], s["bytes"], s["rows"]) for s in manifest.shards]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path}: not a manifest of preprocess.py; run it again") from None
    for shard, size, _ in shards:
        if not shard.is_file() or not Path(f"{shard}.db").is_file():
            raise UserError(f"{shard}: missing (with its .db); run preprocess.py again")
        if shard.stat().st_size != size:
            raise UserError(f"{shard}: has {shard.stat().st_size} bytes, the manifest says {size}: truncated or "
                            "changed; run preprocess.py again")
    if sum(rows for _, _, rows in shards) != manifest.rows:
        raise UserError(f"{path}: shard rows do not add up to {manifest.rows}; run preprocess.py again")
    return manifest


def shard_paths(folder, manifest):
    """Paths of the shards, in row order."""
    return [Path(folder) / shard["file"] for shard in manifest.shards]

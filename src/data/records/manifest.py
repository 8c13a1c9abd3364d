"""manifest.json: what a record folder holds. Written last, it is what makes the folder valid."""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path

from src import __version__
from src.core.errors import UserError
from src.core.files import write
from src.core.names import json_text
from src.data.records.mindrecord import check_place

NAME = "manifest.json"
VERSION = 1
SHARD_KEYS = {"file": str, "rows": int, "bytes": int, "db_bytes": int, "sha256": str}


@dataclass
class Manifest:
    """Facts of one record folder; lengths are in samples."""

    subset: str
    corpus: str  # the last folders of the path the rows came from
    mixture: str  # name of the mixture folder
    targets: list  # names of the source folders, in row order of ``sources``
    task: str
    num_spks: int
    sample_rate: int  # Hz
    rows: int
    hours: float
    min_length: int
    max_length: int
    shards: list  # of {file, rows, bytes, db_bytes (of the index beside it), sha256}
    skipped: dict = field(default_factory=dict)  # reason -> names
    speakers: dict = field(default_factory=dict)  # of single recordings: name -> lengths of its rows, in row order
    request: str = ""  # what tells records of the same files and options from others
    created_by: str = f"dprnn {__version__}"
    version: int = VERSION


def write_manifest(folder, manifest):
    """Write it under a temporary name, then rename."""
    write(Path(folder) / NAME, json_text(asdict(manifest), indent=1))


def load_manifest(folder):
    """The manifest of a finished record folder, its shards checked for presence and size.

    Raises:
        UserError: no such folder, not a finished record folder, another version, a shard missing or truncated.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: {'not a' if folder.exists() else 'no such'} folder; preprocess.py makes record "
                        "folders")
    check_place(folder)
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        for name, size in ((shard["file"], shard["bytes"]), (f"{shard['file']}.db", shard["db_bytes"])):
            path = folder / name
            if not path.is_file():
                raise UserError(f"{path}: missing, the manifest lists it; run preprocess.py again")
            if path.stat().st_size != size:
                raise UserError(f"{path}: has {path.stat().st_size} bytes, the manifest says {size}: truncated or "
                                "changed; run preprocess.py again")
    return manifest


def read_manifest(folder):
    """manifest.json alone, the shards not looked at.

    Raises:
        UserError: not there, not JSON, not one of ours, another version.
    """
    path = Path(folder) / NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        inner = sorted(p.parent.name for p in Path(folder).glob(f"*/{NAME}"))
        hint = f"it holds {', '.join(inner)}: give one of them" if inner else "run preprocess.py"
        raise UserError(f"{folder}: not a finished record folder (no {NAME}); {hint}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise UserError(f"{path}: not valid JSON; run preprocess.py again") from None
    if not isinstance(values, dict) or "shards" not in values:
        raise UserError(f"{path}: not a manifest of preprocess.py")
    if values.get("version") != VERSION:
        raise UserError(f"{path}: format version {values.get('version')}, this program reads {VERSION}; run "
                        "preprocess.py again")
    for spec in fields(Manifest):
        if spec.name in values:
            kinds = (int, float) if spec.type is float else spec.type
            if not isinstance(values[spec.name], kinds) or isinstance(values[spec.name], bool):
                raise UserError(f"{path}: {spec.name} is not {spec.type.__name__}; run preprocess.py again")
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise UserError(f"{path}: lacks {spec.name}; run preprocess.py again")
    for shard in values["shards"]:
        if not isinstance(shard, dict) or any(not isinstance(shard.get(k), t) for k, t in SHARD_KEYS.items()):
            raise UserError(f"{path}: a shard entry lacks one of {', '.join(SHARD_KEYS)}; run preprocess.py again")
    if not values["shards"] or sum(shard["rows"] for shard in values["shards"]) != values["rows"]:
        raise UserError(f"{path}: the rows of its shards do not add up to {values['rows']}; run preprocess.py again")
    known = {spec.name for spec in fields(Manifest)}
    return Manifest(**{name: value for name, value in values.items() if name in known})


def shard_paths(folder, manifest):
    """Paths of the shards, in row order."""
    return [Path(folder) / shard["file"] for shard in manifest.shards]

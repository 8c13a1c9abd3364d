"""Reads finished records again and names what is not as their manifest says."""

import os
from collections import namedtuple
from itertools import groupby
from pathlib import Path

from src.core.errors import UserError
from src.core.files import sha256
from src.core.progress import Progress
from src.core.worker_pool import worker_pool
from src.data.records.manifest import NAME, read_manifest
from src.data.records.mindrecord import row_checksum, stored_rows

SHOWN = 20  # damaged rows named for a shard

# One shard: its folder, its entry in the manifest, number of its first row in the subset
Check = namedtuple("Check", "folder shard first")


def verify(folder, num_workers=1):
    """Do ``preprocess.py --verify``: print what is found.

    Args:
        folder: a record folder, or one that holds several.
    Raises:
        UserError: no record folder, a manifest that cannot be used, or anything damaged.
    """
    plans = {path: _checks(path) for path in record_folders(folder)}
    shards, damaged = sum(map(len, plans.values())), 0
    with worker_pool(check_shard, min(num_workers, shards)) as run:
        for path, checks in plans.items():
            rows = sum(check.shard["rows"] for check in checks)
            with Progress(rows, path.name, "rows") as progress:
                results = run(checks, progress.add)
            bad = [(check, texts) for check, texts in zip(checks, results) if texts]
            for check, texts in bad:
                print(f"{path / check.shard['file']}: damaged: {'; '.join(texts)}", flush=True)
            if not bad:
                print(f"{path}: {rows} rows in {len(checks)} shards, all as its manifest says", flush=True)
            damaged += len(bad)
    if damaged:
        raise UserError(f"{folder}: {damaged} of {shards} shards are damaged; preprocess.py with --overwrite makes the "
                        "records again")


def _checks(path):
    checks, first = [], 0
    for shard in read_manifest(path).shards:
        checks.append(Check(path, shard, first))
        first += shard["rows"]
    return checks


def record_folders(folder):
    """The finished record folders at or just below ``folder``."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"--verify {folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if (folder / NAME).is_file():
        return [folder]
    inner = sorted(path.parent for path in folder.glob(f"*/{NAME}") if not path.parent.name.startswith("."))
    if not inner:
        raise UserError(f"--verify {folder}: holds no finished records (no {NAME})")
    return inner


def check_shard(check, tick):
    """What is wrong with one shard, as a list of texts (in a worker process)."""
    shard, path = check.shard, Path(check.folder) / check.shard["file"]
    count, texts = shard["rows"], []
    for name, size, digest in ((path, shard["bytes"], shard["sha256"]),
                               (Path(f"{path}.db"), shard["db_bytes"], shard.get("db_sha256"))):
        try:
            found = name.stat().st_size
            if found != size:
                texts.append(f"{name.name} has {found} bytes, the manifest says {size}")
            elif digest and sha256(name) != digest:
                texts.append(f"{name.name} has another checksum than the manifest says")
        except OSError as error:
            texts.append(f"{name.name}: {error.strerror or error}")
    os.environ["GLOG_v"] = "4"  # MindSpore tells every failed read on the screen
    sums = shard.get("crc32", "")
    expected = [int(sums[8 * n : 8 * n + 8], 16) for n in range(len(sums) // 8)] or [None] * count
    wrong = _wrong_rows(path, check.first, expected, tick)
    if wrong:
        names = list(_names(wrong, check.first))
        more = f", ... and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        texts.append(f"{len(wrong)} of {count} rows: {', '.join(names[:SHOWN])}{more}")
    elif texts:
        texts.append("every row can be read and has its checksum" if sums else "every row can be read")
    return texts


def _names(wrong, first):
    """Texts for rows: 17 (id), and 3 to 9 (cannot be read) for neighbours with one fate."""
    for (what, _), group in groupby(enumerate(sorted(wrong)), key=lambda pair: (wrong[pair[1]], pair[1] - pair[0])):
        numbers = [first + n for _, n in group]
        span = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        yield f"{span} ({what})"


def _wrong_rows(path, first, expected, tick):
    """{place in the shard: what is wrong with the row}; ``expected``: CRC-32 of each, None where not known."""
    wrong, place = {}, -1
    try:
        for place, item in enumerate(stored_rows(path)):
            tick()
            _compare(item, place, first, expected, wrong)
        for lost in range(place + 1, len(expected)):
            wrong[lost] = "lost"
        return wrong
    except UserError:
        pass
    # one that cannot be read ends the others too: ask for each alone
    for place in range(len(expected)):
        try:
            found = list(stored_rows(path, [place]))
        except UserError:
            found = []
        if found:
            wrong.pop(place, None)
            _compare(found[0], place, first, expected, wrong)
        else:
            wrong[place] = "cannot be read"
    return wrong


def _compare(item, place, first, expected, wrong):
    if place >= len(expected):
        wrong[place] = "is more than there should be"
    elif expected[place] is None:
        if item.get("index", first + place) != first + place:
            wrong[place] = f"has number {item['index']}"
    elif row_checksum(item) != expected[place]:
        wrong[place] = item["id"]

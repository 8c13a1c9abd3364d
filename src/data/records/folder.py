"""Who may write a record folder, and how a finished one takes the place of an old one."""

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

from src.core.errors import UserError
from src.core.files import move_folder, sync_tree
from src.data.records.manifest import NAME, load_manifest, read_manifest
from src.data.records.mindrecord import check_place

OURS = re.compile(rf"{re.escape(NAME)}|\.manifest\..*tmp.*|.*\.mindrecord(\.db)?")  # a killed run leaves a .tmp


def check_target(target, overwrite):
    """Refuse records that are there without ``overwrite``, and a folder with anything else in it in any case.

    Shards without a manifest are an unfinished copy of ours and may be replaced.
    """
    check_place(target)
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise UserError(f"{target}: exists and is not a plain folder; choose another --out_dir")
    names = sorted(os.listdir(target))
    foreign = [name for name in names if not OURS.fullmatch(name)]
    if foreign:
        raise UserError(f"{target}: holds files that are not records ({foreign[0]}); it is left as it is, choose "
                        "another --out_dir")
    if NAME not in names:
        return
    if names == [NAME]:
        read_manifest(target)  # some other program's manifest.json stays
    if overwrite:
        return
    try:
        load_manifest(target)
    except UserError as error:
        raise UserError(f"{target}: holds damaged records; --overwrite replaces them ({error})") from None
    raise UserError(f"{target}: already holds records; --overwrite replaces them")


@contextmanager
def locked(target):
    """Hold the right to write ``target``; the lock ends with the process, killed or not.

    Raises:
        UserError: another process holds it.
    """
    path = target.with_name(f".{target.name}.lock")
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a holder that has just finished removes the file: then this one is not it any more
            free = os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path))
        except BlockingIOError:
            free = False
        if not free:
            raise UserError(f"{target}: another preprocess.py is writing it")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def clean_up(target):
    """Put an old folder back if a kill between two renames left nothing else of ``target`` (under its lock)."""
    old = _old(target)
    if old.exists() and not target.exists():
        move_folder(old, target)
    shutil.rmtree(old, ignore_errors=True)


def partial_folder(target):
    """Where a new ``target`` is built: beside it, hidden. It outlives a run that is ended, for the next one."""
    return target.with_name(f".{target.name}.partial")


def swap_in(partial, target):
    """Give a finished folder its name; the one that had it goes."""
    old = _old(target)
    sync_tree(partial)
    if target.exists():
        move_folder(target, old)
    try:
        move_folder(partial, target)
    except OSError:
        if old.exists() and not target.exists():
            move_folder(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _old(target):
    return Path(target).with_name(f".{target.name}.old")

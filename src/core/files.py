"""Files that a crash or a power cut leaves whole: the old one or the new one, never a part.

The one place that gives files their names: they are written under a temporary name in the same folder, brought to the
disk (fsync), renamed, and then the folder, which holds the names, is brought to the disk too.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from pathlib import Path

from src.core.names import shown

ROOT = Path(__file__).resolve().parents[2]  # of the repository
SYNC_THREADS = 8  # a file system brings several files to the disk at the price of one
NAME_BYTES = 255  # of a file name
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # of file systems that have no fsync for folders


def sha256(path):
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- to the disk


def sync(path):
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk fails.
    """
    folder = os.path.isdir(path)
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not folder or error.errno not in NO_FOLDER_SYNC:
            raise OSError(error.errno, error.strerror, str(path)) from None


def sync_all(paths):
    """:func:`sync` for many files, several at a time."""
    paths = list(paths)
    if len(paths) < SYNC_THREADS:
        for path in paths:
            sync(path)
        return
    with syncing() as later:
        for path in paths:
            later(path)


@contextlib.contextmanager
def syncing():
    """Yields a function that brings a file to the disk while other work goes on; at the end all of them are there.

    Raises:
        OSError: of the first for which the disk fails.
    """
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and most scripts have few files

    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        waiting = []
        yield lambda path: waiting.append(pool.submit(sync, path))
        for result in waiting:
            result.result()


def sync_tree(folder, contents=True):
    """:func:`sync` for a folder and all folders in it, and with ``contents`` all files."""
    for place, _, names in os.walk(folder, topdown=False):
        if contents:
            sync_all(os.path.join(place, name) for name in names)
        sync(place)


# ---- names


def make_folder(path):
    """Make a folder and those above it, where they are missing."""
    path = Path(path)
    made = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        made.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    for folder in made:
        sync(folder.parent)


def temporary_name(path):
    """A hidden name beside ``path``, with its suffix, for this process."""
    path = Path(path)
    stem = path.stem
    ending = f".{os.getpid()}.tmp{path.suffix}"
    if len(os.fsencode(f".{stem}{ending}")) > NAME_BYTES:
        stem = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{stem}{ending}")


def rename(names, durable=True):
    """Give finished files the names they are meant to have.

    Args:
        names (dict): {temporary path: path}.
        durable (bool): as of :func:`replacing`.
    Raises:
        OSError: that names the file meant. Until the first has its name nothing has changed.
    """
    with _meant({str(temporary): str(path) for temporary, path in names.items()}):
        if durable:
            sync_all(names)
        for temporary, path in names.items():
            os.replace(temporary, path)
        if durable:
            for folder in dict.fromkeys(Path(path).parent for path in names.values()):
                sync(folder)


@contextlib.contextmanager
def _meant(names):
    """An OSError of a temporary file, or of none, names the file that is meant: {temporary name: name}."""
    try:
        yield
    except OSError as error:
        name = names.get(str(error.filename)) or (next(iter(names.values())) if error.filename is None else None)
        if error.errno is None or name is None:
            raise
        raise OSError(error.errno, error.strerror, name) from None


def move_folder(source, target):
    """Give a folder another name on the same disk; :func:`sync_tree` is for its contents.

    Raises:
        OSError: the new name is that of a folder with something in it, the disk refuses.
    """
    source, target = Path(source), Path(target)
    os.rename(source, target)
    for folder in dict.fromkeys((target.parent, source.parent)):
        sync(folder)


# ---- contents


@contextlib.contextmanager
def replacing(path, durable=True):
    """Yields a temporary path to write to; at the end it gets the name ``path``. Folders are made.

    Args:
        path: of the file; a file of this name is replaced.
        durable (bool): whether it must survive a power cut, which costs some milliseconds. False: for what is of no
            use then anyway; it still is the old or the new file for every other process.
    Raises:
        OSError: that names ``path``; then nothing is left of the temporary file.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        with _meant({str(temporary): str(path)}):
            make_folder(path.parent)
            yield temporary
            rename({temporary: path}, durable)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write(path, content, durable=True):
    """Write a file: text (UTF-8, names in it as of :func:`src.core.names.shown`) or bytes; see :func:`replacing`."""
    with replacing(path, durable) as temporary:
        if isinstance(content, str):
            content = shown(content).encode("utf-8", "backslashreplace")
        temporary.write_bytes(content)


def copy(source, path):
    """Copy a file; see :func:`replacing`."""
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def link(source, path):
    """A second name for a file, which takes that of another; a copy where the file system has no links. Nothing where
    ``source`` is missing."""
    if not os.path.exists(source):
        return
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, temporary)

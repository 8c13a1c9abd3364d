"""The folder of a running service, and what a killed one left behind."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX, LOCK = "dprnn-serve-", "lock"


@contextlib.contextmanager
def workspace():
    """An empty folder below the system's temporary folder, gone at the end. It is locked as long as its process lives,
    so that the next one can tell and remove what a killed one left."""
    sweep(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as root:
        with open(Path(root) / LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            files = Path(root) / "files"
            files.mkdir()
            yield files


@contextlib.contextmanager
def shared_workspace(workers):
    """A :func:`workspace` for so many processes started within, which learn of each other from the environment: their
    share of the cores (src/core/device.py) and where their counters are added up (src/service/telemetry.py)."""
    with workspace() as files:
        counters = files.parent / "counters"
        counters.mkdir()
        os.environ |= {"LOCAL_WORKER_NUM": str(workers), "PROMETHEUS_MULTIPROC_DIR": str(counters)}
        yield files


def sweep(parent):
    """Remove the folders of services that are gone."""
    for root in Path(parent).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), open(root / LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its service lives
            shutil.rmtree(root, ignore_errors=True)

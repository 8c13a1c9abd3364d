"""libmpg123 writes what it thinks of a file to C's stderr, also of good files: a cut of a stream, say."""

import contextlib
import ctypes
import os
import threading

_lock = threading.Lock()
_silent = 0  # how many want silence now
_library = _usual = _nowhere = None  # C's streams


@contextlib.contextmanager
def c_stderr_silent():
    """C's ``stderr`` leads nowhere meanwhile; Python's ``sys.stderr`` and C++'s ``cerr`` are others and stay."""
    _switch(1)
    try:
        yield
    finally:
        _switch(-1)


def _switch(step):
    global _silent, _library, _usual, _nowhere
    with _lock:
        before, _silent = _silent, _silent + step
        if bool(before) == bool(_silent):
            return
        try:
            _library = _library or ctypes.CDLL(None)
            stream = ctypes.c_void_p.in_dll(_library, "stderr")
            if _nowhere is None:
                _library.fopen.restype = ctypes.c_void_p
                _nowhere = _library.fopen(os.devnull.encode(), b"w")
        except (OSError, ValueError, AttributeError):  # a C library of another kind
            return
        if _silent and _nowhere:
            _usual, stream.value = stream.value, _nowhere
        elif _usual:
            stream.value = _usual

"""stdout and stderr of a root script: they take every name, and an error of theirs says which of them it is."""

import contextlib
import io
import os
import sys

from src.core.names import shown

STREAMS = {"stdout": 1, "stderr": 2}


@contextlib.contextmanager
def _named(name):
    """An OSError of a stream carries its name, as that of a file does."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), name) from None


class Text(io.TextIOWrapper):
    """Text to stdout or stderr: any name of a file can be printed, whatever the locale."""

    lost = None  # the first error since the last :func:`flush`; some callers, as argparse, keep it to themselves

    def __init__(self, name, encoding, lines):
        self._label = name
        buffer = open(STREAMS[name], "wb", closefd=False)
        super().__init__(buffer, encoding, "backslashreplace", line_buffering=lines)

    def write(self, text):
        with self._remembered():
            return super().write(shown(text))

    def flush(self):
        with self._remembered():
            super().flush()

    @contextlib.contextmanager
    def _remembered(self):
        try:
            with _named(self._label):
                yield
        except OSError as error:
            self.lost = self.lost or error
            raise


class Binary(io.BufferedWriter):
    """Bytes to a descriptor that is stdout or a copy of it."""

    def __init__(self, number):
        super().__init__(io.FileIO(number, "w", closefd=False))

    def write(self, data):
        with _named("stdout"):
            return super().write(data)

    def flush(self):
        with _named("stdout"):
            super().flush()


def open_streams():
    """Make sys.stdout and sys.stderr :class:`Text`; called once, at the start of a root script."""
    _fill_gaps()
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    for name in STREAMS:
        old = getattr(sys, name)
        lines = old is None or name == "stderr" or old.isatty() or old.write_through
        setattr(sys, name, Text(name, old.encoding if old else "utf-8", lines))


def _fill_gaps():
    """What the shell has closed (``>&-``) becomes something that cannot be written: else the next file that is opened
    would get its number, and with it whatever libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # it gets the lowest number that is free


def flush():
    """Write what is buffered. Returns the first OSError since the last call, or None; what could not be written is
    dropped."""
    first = None
    for name, number in STREAMS.items():
        stream = getattr(sys, name)
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):  # Python tries again when it ends, and complains at length
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        if isinstance(stream, Text):
            first, stream.lost = first or stream.lost, None
    return first


def tell(text):
    """A line on stderr, if that can be written."""
    with contextlib.suppress(OSError, RuntimeError):
        print(text, file=sys.stderr, flush=True)


class Lenient:
    """Calls functions of work that must outlive its output; what goes wrong is told on stderr, once for each name.

    Args:
        work (str): what goes on.
    """

    def __init__(self, work):
        self._work, self._told = work, set()

    def __call__(self, name, function, *args):
        """``function(*args)``, whose failure to write is no error; returns whether it succeeded."""
        try:
            function(*args)
            return True
        except OSError as error:
            reason = error.strerror or error
        except RuntimeError as error:  # a signal came while the same stream was written
            reason = error
        if name not in self._told:
            self._told.add(name)
            tell(f"warning: {name}: cannot write: {reason}; {self._work} goes on without it")
        return False

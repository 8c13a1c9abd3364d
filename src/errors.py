"""Mistakes a user can make, and how every root script answers them."""

import contextlib
import os
import sys


class UserError(Exception):
    """A mistake outside the code: its text says what is wrong, where, and what to do, in one line."""


def first_names(names, most=5):
    """The first few of many names, for a line on the screen."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


@contextlib.contextmanager
def disk_errors(place):
    """What the disk refuses becomes a :class:`UserError` that names the file, or ``place``."""
    try:
        yield
    except BrokenPipeError:  # of our own output
        raise
    except OSError as error:
        raise UserError(f"{error.filename or place}: {error.strerror or error}") from None


def run_cli(main):
    """Run ``main(argv)`` as a root script and exit with its status.

    A :class:`UserError` becomes one ``error: ...`` line on stderr and exit code 1; Ctrl-C exits with 130.
    Anything else is a bug of ours and keeps its traceback.
    """
    # MindSpore reads GLOG_v once, on import: its C++ warnings are meant for its own developers.
    os.environ.setdefault("GLOG_v", "3")
    try:
        status = main(sys.argv[1:]) or 0
    except UserError as error:
        sys.stdout.flush()
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # `python eval.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)

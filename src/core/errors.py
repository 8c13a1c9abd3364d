"""Mistakes a user can make, and how every root script answers them."""

import contextlib
import os
import sys

from src.core import signals as interrupt

ASKED_TO_END = (130, 143)  # statuses after Ctrl-C and SIGTERM


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
    except OSError as error:
        raise UserError(f"{error.filename or place}: {error.strerror or error}") from None


def run_cli(main):
    """Run ``main(argv)`` as a root script and exit with its status.

    A :class:`UserError` becomes one ``error: ...`` line on stderr and exit code 1, and so does what the system refuses,
    such as a write to stdout; Ctrl-C exits with 130, SIGTERM with 143. Anything else is a bug of ours and keeps its
    traceback.
    """
    interrupt.exit_on_signals()  # before anything else is loaded
    status = _status(main)
    interrupt.end_quietly(status)

    from src.core import output

    unwritten = output.flush()
    if unwritten and not status:
        output.tell(_line(unwritten))
        status = 1
    if status in ASKED_TO_END:  # all is cleaned up; libraries complain while they are unloaded half-way
        os._exit(status)
    sys.exit(status)


def _status(main):
    try:
        from src.core import output

        output.open_streams()
        # MindSpore reads GLOG_v once, on import: its C++ warnings are meant for its own developers.
        os.environ.setdefault("GLOG_v", "3")
        status = main(sys.argv[1:]) or 0
        interrupt.raise_swallowed()
        sys.stdout.flush()
        return status
    except (UserError, OSError) as error:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        output.tell(_line(error))
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("interrupted", file=sys.stderr, flush=True)
        return 130
    except SystemExit as error:  # of --help, or of SIGTERM
        return error.code or 0


def _line(error):
    if isinstance(error, OSError):
        error = f"{error.filename or 'input or output'}: {error.strerror or error}"
    return "error: " + " ".join(str(error).split())

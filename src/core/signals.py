"""Being asked to stop, and ending with one's parent."""

import contextlib
import os
import signal

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ASKED = (signal.SIGINT, signal.SIGTERM)
IMPORT_SECONDS = 0.05  # how often to look whether an import is over

_ending = []  # the exception that a signal asked for
_begun = False  # whether there is anything to clean up
_waiting = False  # for the end of an import, to raise it


def end_with_parent():
    """From now on the system kills this process when its parent is gone (Linux)."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def exit_on_signals(sigterm_too=False):
    """From now on Ctrl-C and SIGTERM end this process as exceptions do: what is half done is cleaned up.

    An exception in the middle of an import makes MindSpore abort, and NumPy take itself for broken: while libraries are
    loaded the process ends on the spot, and once :func:`work_begins` was called the import is finished before.
    MindSpore swallows an exception that comes while it compiles: :func:`raise_swallowed` raises it again.

    Args:
        sigterm_too (bool): SIGTERM counts as Ctrl-C. MindSpore's graphs answer Ctrl-C with a SIGTERM to themselves.
    """
    def leave(number, frame):
        ctrl_c = sigterm_too or number == signal.SIGINT
        _ending[:] = [KeyboardInterrupt() if ctrl_c else SystemExit(128 + number)]
        _raise_or_wait(frame)

    _handle(leave)


def _raise_or_wait(frame):
    global _waiting
    if not _imports(frame):
        raise_swallowed()
    if not _begun:
        end_at_once(_ending[0])
    _waiting = True
    signal.signal(signal.SIGALRM, lambda _number, frame: _waiting and _raise_or_wait(frame))
    signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)


def work_begins():
    """All libraries are loaded that are needed at once, and files may be written from now on."""
    global _begun
    _begun = True


def end_at_once(asked):
    """End this process with the line and the status of the exception ``asked``, and nothing else."""
    word, status = ("interrupted", 130) if isinstance(asked, KeyboardInterrupt) else ("terminated", asked.code)
    with contextlib.suppress(OSError):
        os.write(2, f"{word}\n".encode())
    os._exit(status)


def end_quietly(status):
    """From now on Ctrl-C and SIGTERM end this process on the spot: its work is done, its status is known."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    _handle(lambda *_: os._exit(status))


def leave_to_system():
    """From now on the system ends this process at Ctrl-C and SIGTERM: for the time in which a library waits without
    running Python."""
    _handle(signal.SIG_DFL)


def _handle(handler):
    for number in ASKED:
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell has its jobs in the background ignore Ctrl-C
            signal.signal(number, handler)


def _imports(frame):
    """Whether a stack is in the middle of an import."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def raise_swallowed():
    """End, if a signal has asked for it (see :func:`exit_on_signals`)."""
    global _waiting
    if _ending:
        _waiting = False
        raise _ending[0]


@contextlib.contextmanager
def ctrl_c_left_to_parent():
    """Processes that are started within ignore Ctrl-C, which reaches the whole group."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class Signals:
    """Notes SIGINT and SIGTERM instead of dying in the middle of a step; a second SIGINT interrupts at once.

    Args:
        say: called with a text at the first signal.
        state: name of the file that the state goes to.
    """

    caught = False

    def __init__(self, say, state="last.ckpt"):
        self.say, self.state = say, state

    def __enter__(self):
        self.before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number, _frame):
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = True
        self.say(f"stopping after this step, saving {self.state} ...")

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

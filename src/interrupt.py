"""Being asked to stop, and ending with one's parent."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent():
    """From now on the system kills this process when its parent is gone (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def take_ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, as it does without MindSpore, whose graphs answer it with a SIGTERM to
    themselves: so that counts as Ctrl-C too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


_ending = []  # the exception that a signal asked for


def exit_on_signals():
    """From now on Ctrl-C and SIGTERM end this process as exceptions do: what is half done is cleaned up.

    MindSpore swallows an exception that comes while it compiles: :func:`raise_swallowed` raises it again.
    """
    def leave(number, _frame):
        _ending[:] = [KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)]
        raise _ending[0]

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell has its jobs in the background ignore Ctrl-C
            signal.signal(number, leave)


def raise_swallowed():
    """End, if a signal has asked for it (see :func:`exit_on_signals`)."""
    if _ending:
        raise _ending[0]


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

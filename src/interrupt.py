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


def exit_on_sigterm():
    """From now on SIGTERM ends this process as an exception does: what is half done is cleaned up."""
    def leave(number, _frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


class Signals:
    """Notes SIGINT and SIGTERM instead of dying in the middle of a step; a second SIGINT interrupts at once.

    Args:
        say: called with a text at the first signal.
    """

    caught = False

    def __init__(self, say):
        self.say = say

    def __enter__(self):
        self.before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number, _frame):
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = True
        self.say("stopping after this step, saving last.ckpt ...")

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

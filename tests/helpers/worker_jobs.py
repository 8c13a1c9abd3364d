"""Jobs for worker processes in tests."""

import ctypes
import os
import signal
import time

from src.core.errors import UserError


def work(job, tick):
    """(what, value): returns the value after doing what is said."""
    what, value = job
    if what == "crash":
        ctypes.string_at(0)  # a fault in C, as in PESQ's own code
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "slow":
        time.sleep(0.3)
    elif what == "user error":
        raise UserError(value)
    elif what == "environment":
        return os.environ.get(value)
    tick()
    return value

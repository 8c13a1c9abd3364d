"""Runs jobs in worker processes that end with their parent, however that ends."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import traceback
from contextlib import contextmanager
from functools import partial

from src.errors import UserError

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@contextmanager
def worker_pool(function, count):
    """``count`` processes for ``function(job, tick)``; yields ``run(jobs, progress)``, which may be called again.

    Args:
        function: importable by name; calls ``tick()``, or ``tick(count)``, as it gets on.
    ``run`` gives each picklable job to a process, calls ``progress(ticks)`` here now and then, and returns the results
    in the order of the jobs. It raises :class:`UserError` for one that a job raised, for an OSError that a job met, and
    for a process that was killed.
    """
    with _processes(function, count) as processes:
        yield partial(_run, processes)


def _run(processes, jobs, progress):
    results = [None] * len(jobs)
    waiting = list(enumerate(jobs))[::-1]
    idle, busy = list(processes), {}  # busy: connection -> number of the job its worker has
    while waiting or busy:
        while waiting and idle:
            connection = idle.pop()
            busy[connection], job = waiting.pop()
            with _alive(processes[connection]):
                connection.send(job)
        for connection in multiprocessing.connection.wait(list(busy)):
            with _alive(processes[connection]):
                kind, value = connection.recv()
            if kind == "tick":
                progress(value)
            elif kind == "done":
                results[busy.pop(connection)] = value
                idle.append(connection)
            elif kind == "user error":
                raise UserError(value)
            else:
                raise RuntimeError(f"in a worker process:\n{value}")
    return results


@contextmanager
def _alive(process):
    """Talk to a worker; one that is gone becomes a :class:`UserError`."""
    try:
        yield
    except (EOFError, ConnectionError):
        process.join()
        raise UserError(f"a writer process ended with status {process.exitcode}; out of memory? try fewer "
                        "--num_workers") from None


@contextmanager
def _processes(function, count):
    """``count`` idle workers: {connection: process}; killed at the end, when nothing is left for them to do."""
    context = multiprocessing.get_context("spawn")  # a fork would copy MindSpore's threads half
    processes = {}
    # Ctrl-C reaches the whole group; workers inherit that they are to leave it to the parent
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, function), daemon=True)
                process.start()
                theirs.close()
                processes[ours] = process
        finally:
            signal.signal(signal.SIGINT, handler)
        yield processes
    finally:
        for process in processes.values():
            process.kill()
        for connection, process in processes.items():
            process.join()
            connection.close()


def _work(connection, function):
    # A killed parent leaves no writers behind: Linux kills them with it, wherever they are, elsewhere a thread waits.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tick(count=1):
        connection.send(("tick", count))

    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            answer = ("done", function(job, tick))
        except UserError as error:
            answer = ("user error", str(error))
        except OSError as error:
            answer = ("user error", f"{error.filename or 'writing'}: {error.strerror or error}")
        except Exception:
            answer = ("error", traceback.format_exc())
        connection.send(answer)


def _end_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)

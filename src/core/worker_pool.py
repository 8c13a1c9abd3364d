"""Runs jobs in worker processes that end with their parent, however that ends."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import threading
import traceback
from collections import namedtuple
from contextlib import contextmanager
from functools import partial

from src.core.errors import UserError
from src.core.signals import ctrl_c_left_to_parent, end_with_parent

# one process for each core leaves no core for threads inside of them
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

AHEAD = 4  # jobs per process between the first unfinished one and the last

Crash = namedtuple("Crash", "status")  # in place of a result: the exit status of the process, -11 for signal 11


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
            else:
                _fail(kind, value)
    return results


def stream(function, count, jobs):
    """Results of ``function(job, tick)`` by ``count`` processes, in the order of the jobs.

    Args:
        function: as of :func:`worker_pool`; its ticks are not heard.
        count (int): how many; their linear algebra runs in one thread each.
        jobs: iterable of picklable jobs; the next is made while the processes work, and waits until one is free.
    Yields:
        a result, or :class:`Crash` for a job that ended its process (a fault in a C library), which is replaced.
    Raises:
        UserError: that a job raised.
    """
    with _processes(function, count, ONE_THREAD) as processes:
        idle, busy = list(processes), {}  # busy: connection -> number of the job its worker has
        finished, given, sent = {}, 0, 0

        def collect():
            for connection in multiprocessing.connection.wait(list(busy)):
                process, number = processes[connection], busy[connection]
                try:
                    kind, value = connection.recv()
                except (EOFError, ConnectionError):
                    process.join()
                    connection.close()
                    del processes[connection]
                    kind, value = "done", Crash(process.exitcode)
                    connection_now = _start(processes, function, ONE_THREAD)
                else:
                    connection_now = connection
                if kind == "done":
                    del busy[connection]
                    finished[number] = value
                    idle.append(connection_now)
                elif kind != "tick":
                    _fail(kind, value)

        for job in jobs:
            # nor far ahead of a job that takes long: its followers' results would pile up
            while not idle or (given not in finished and sent - given >= AHEAD * count):
                collect()
            connection = idle.pop()
            try:
                connection.send(job)
            except ConnectionError:  # it fell ill before its job came: collect() sees that
                pass
            busy[connection], sent = sent, sent + 1
            while given in finished:
                yield finished.pop(given)
                given += 1
        while given < sent:
            if given in finished:
                yield finished.pop(given)
                given += 1
            else:
                collect()


def _fail(kind, value):
    if kind == "user error":
        raise UserError(value)
    raise RuntimeError(f"in a worker process:\n{value}")


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
def _processes(function, count, environment=None):
    """``count`` idle workers: {connection: process}, with these variables in their environment; killed at the end, when
    nothing is left for them to do."""
    processes = {}
    try:
        for _ in range(count):
            _start(processes, function, environment or {})
        yield processes
    finally:
        for process in processes.values():
            process.kill()
        for connection, process in processes.items():
            process.join()
            connection.close()


def _start(processes, function, environment):
    """One more idle worker; returns its connection."""
    context = multiprocessing.get_context("spawn")  # a fork would copy MindSpore's threads half
    ours_before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, function), daemon=True)
        with ctrl_c_left_to_parent():
            process.start()
        theirs.close()
    finally:
        for name, value in ours_before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    processes[ours] = process
    return ours


def _work(connection, function):
    # A killed parent leaves no writers behind: Linux kills them with it, wherever they are, elsewhere a thread waits.
    with contextlib.suppress(OSError, AttributeError):
        end_with_parent()
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

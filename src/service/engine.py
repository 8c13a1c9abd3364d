"""One model, a bounded queue before it and a few threads that work it off."""

import collections
import logging
import math
import threading
import time
from concurrent.futures import Future

import numpy as np

from src.service.errors import ServiceError
from src.service.logs import say

log = logging.getLogger("dprnn.service")
THREADS = "separation-"  # what the names of its threads begin with
CHECK_SECONDS = 30.0  # a health check is good for so long


class Cancelled(Exception):
    """Nobody waits for this work any more."""


class Work:
    """Something to be done in the engine's threads.

    Args:
        run: called with this work, its value is the result; it should call :meth:`check` now and then.
        signal: instead, samples float32 [T] at ``rate``: may go through the network together with others of the length.
        seconds (float): of audio, as far as it is known.
    Attributes:
        future (Future): of the result.
        progress (float): 0 to 1.
        watch: called now and then while it runs.
        state (str): queued, running, over.
    """

    def __init__(self, run=None, signal=None, rate=None, seconds=0.0):
        self.run, self.signal, self.rate, self.seconds = run, signal, rate, seconds
        self.future, self.progress, self.state, self._cancelled = Future(), 0.0, "queued", False
        self.watch = lambda: None

    @property
    def kind(self):
        return "recording" if self.signal is None else "signal"

    def cancel(self):
        """Nobody wants the result: it is not begun, or ends at its next :meth:`check`."""
        self._cancelled = True
        self.future.cancel()

    def check(self):
        """Raise :class:`Cancelled` after :meth:`cancel`."""
        if self._cancelled:
            raise Cancelled


class Engine:
    """Works off a queue with one separator.

    Args:
        separator (src.separation.separator.Separator)
        config (src.service.config.ServeConfig): threads, queue_length, batch.
        telemetry (src.service.telemetry.Telemetry)
    """

    def __init__(self, separator, config, telemetry):
        self.separator, self.telemetry = separator, telemetry
        self._limit, self._batch, self._window = config.queue_length, config.batch, config.window
        self._queue, self._wake = collections.deque(), threading.Condition()
        self._closing, self._running, self._usual = False, 0, 1.0  # usual: seconds of work, a running mean
        self._checked, self._sound, self._check_lock = 0.0, False, threading.Lock()
        self.speed = None  # seconds of work for a second of audio, of the check
        self._threads = [threading.Thread(target=self._loop, name=f"{THREADS}{i}", daemon=True)
                         for i in range(config.threads)]
        for thread in self._threads:
            thread.start()

    def admit(self):
        """Raise :class:`ServiceError` (429, 503) if nothing can be taken now: better before a body is read."""
        with self._wake:
            self._check_room(1)

    def submit(self, *works):
        """Put work into the queue, all or none.

        Raises:
            ServiceError: 429 if the queue is full, 503 after :meth:`close`.
        """
        with self._wake:
            self._check_room(len(works))
            self._queue.extend(works)
            self.telemetry.waiting.set(len(self._queue))
            self._wake.notify_all()

    def _check_room(self, count):
        if self._closing:
            raise ServiceError(503, "the service is stopping", "ask again in a moment", Retry_After=5)
        # one request may be more than the queue holds, as long as nothing waits
        if self._queue and len(self._queue) + count > self._limit:
            self.telemetry.refused.inc()
            seconds = max(1, min(600, math.ceil(len(self._queue) * self._usual / len(self._threads))))
            raise ServiceError(429, f"{len(self._queue)} requests wait already", f"ask again in {seconds} s",
                               Retry_After=seconds)

    def place(self, work):
        """How many go before this work; None if it does not wait."""
        with self._wake:
            return self._queue.index(work) if work in self._queue else None

    def close(self, seconds):
        """Take nothing new, and wait at most so long for what is there. Returns whether all of it was done."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._wake:
            for work in self._queue:
                work.cancel()
            self._queue.clear()
        return not any(thread.is_alive() for thread in self._threads)

    def sound(self):
        """Whether a tiny inference works. What was found lately, or is at work now, is not tried again."""
        if not all(thread.is_alive() for thread in self._threads) or self._closing:
            return False
        with self._check_lock:
            if time.monotonic() - self._checked > CHECK_SECONDS and not (self._running and self._sound):
                self._try()
            return self._sound

    def measure(self, seconds=4.0):
        """Separate noise of that length twice and note how long the second time took."""
        rng = np.random.default_rng(0)
        signal = 0.1 * rng.normal(size=round(seconds * self.separator.sample_rate)).astype(np.float32)
        for _ in range(2):  # the first may compile
            begun = time.monotonic()
            self.separator.separate(signal, self.separator.sample_rate)
            self.speed = (time.monotonic() - begun) / seconds

    def _try(self):
        rate = self.separator.sample_rate
        try:
            voices = self.separator.separate(0.1 * np.sin(np.arange(rate // 10, dtype=np.float32)), rate)
            self._sound = voices.shape == (self.separator.num_spks, rate // 10) and bool(np.isfinite(voices).all())
        except Exception as error:  # whatever it is, the model does not work
            log.error("the health check failed", exc_info=error)
            self._sound = False
        self._checked = time.monotonic()

    def _take(self):
        """The next work, with others that can go with it; None at the end."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            if not self._queue:
                return None
            works = [self._queue.popleft()]
            if works[0].signal is not None and works[0].seconds <= self._window:
                shape = (works[0].rate, len(works[0].signal))
                same = [work for work in self._queue
                        if work.signal is not None and (work.rate, len(work.signal)) == shape]
                for work in same[: self._batch - 1]:
                    self._queue.remove(work)
                    works.append(work)
            works = [work for work in works if work.future.set_running_or_notify_cancel()]
            for work in works:
                work.state = "running"
            self._running += len(works)
            self.telemetry.waiting.set(len(self._queue))
            self.telemetry.running.set(self._running)
            return works

    def _loop(self):
        while (works := self._take()) is not None:
            if works:
                self._do(works)

    def _do(self, works):
        begun = time.monotonic()
        try:
            if works[0].signal is None:
                results = [works[0].run(works[0])]
            else:
                results = self.separator.separate_batch([work.signal for work in works], works[0].rate)
        except BaseException as error:  # goes to whoever waits for it, who tells faults of ours from others
            finish = [(work.future.set_exception, error) for work in works]
        else:
            finish = [(work.future.set_result, result) for work, result in zip(works, results)]
            self.telemetry.audio.inc(sum(work.seconds for work in works))
        took = time.monotonic() - begun
        self._usual += 0.2 * (took / len(works) - self._usual)
        self.telemetry.work.labels(works[0].kind).observe(took)
        with self._wake:
            self._running -= len(works)
            self.telemetry.running.set(self._running)
        for work, (settle, value) in zip(works, finish):
            work.state = "over"
            settle(value)
        say(log, "separated", logging.DEBUG, kind=works[0].kind, count=len(works), seconds=round(took, 3))

"""Recordings that are separated while the client does something else."""

import secrets
import shutil
import threading
import time
from pathlib import Path

from src.service.engine import Cancelled
from src.service.errors import ServiceError, refusal


class Job:
    """One recording in its own folder.

    Attributes:
        id (str): a secret that is hard to guess; who knows it may read and delete the job.
        folder (Path): of the recording and its voices.
        work (src.service.engine.Work)
        paths (list[Path]): of the voices, in order.
    """

    def __init__(self, folder, number):
        self.id, self.folder = number, folder
        self.work, self.paths, self.begun, self.ended = None, [], time.time(), None

    @property
    def state(self):
        future = self.work.future
        if future.cancelled():
            return "cancelled"
        if not future.done():
            return self.work.state
        error = future.exception()
        return "done" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"

    def view(self, place, keep_seconds):
        """What the client is told."""
        state = self.state
        view = {"id": self.id, "state": state, "progress": round(self.work.progress, 3), "place": place,
                "seconds": round(self.work.seconds, 3)}
        if state == "done":
            done = self.work.future.result()
            view |= {"sample_rate": done.sample_rate, "channels": done.channels, "notes": list(done.notes),
                     "voices": [f"/v1/jobs/{self.id}/voices/{i + 1}" for i in range(len(self.paths))],
                     "results": f"/v1/jobs/{self.id}/results"}
        if state == "failed":
            error = refusal(self.work.future.exception())
            view |= {"status": error.status, "error": error.error, "hint": error.hint}
        if self.ended:
            view["expires_in"] = max(0, round(self.ended + keep_seconds - time.time()))
        return view


class JobStore:
    """The jobs of a service and the folder that they are in.

    Args:
        root (Path): must exist.
        keep_seconds (float): how long a finished job stays; most (int): how many stay.
        count: called with how many there are, whenever that changes.
    """

    def __init__(self, root, keep_seconds, most, count=lambda number: None):
        self.root, self.keep_seconds, self.most, self._count = Path(root), keep_seconds, most, count
        self._jobs, self._lock = {}, threading.Lock()

    def new(self):
        """A job with an empty folder, not in the store yet."""
        number = secrets.token_urlsafe(16)
        folder = self.root / secrets.token_hex(8)
        folder.mkdir()
        return Job(folder, number)

    def add(self, job):
        """Keep a job whose work is set. The oldest finished ones make room.

        Raises:
            ServiceError: 429, too many are unfinished.
        """
        self.sweep()
        with self._lock:
            if len(self._jobs) >= self.most:
                over = [old for old in self._jobs.values() if old.ended]
                if not over:
                    raise ServiceError(429, f"{len(self._jobs)} jobs are unfinished", "ask again later", Retry_After=30)
                self._drop(min(over, key=lambda old: old.ended))
            self._jobs[job.id] = job
            self._count(len(self._jobs))
        job.work.future.add_done_callback(lambda _future: self._finished(job))

    def get(self, number):
        """The job with this id.

        Raises:
            ServiceError: 404.
        """
        self.sweep()
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise ServiceError(404, "no such job", f"jobs are kept for {self.keep_seconds:g} s after they are done")
        return job

    def done(self, number):
        """The job with this id, which must be done.

        Raises:
            ServiceError: 404; 409 not done yet; what made it fail.
        """
        job = self.get(number)
        if job.state == "failed":
            raise refusal(job.work.future.exception())
        if job.state != "done":
            raise ServiceError(409, f"the job is {job.state}", f"ask /v1/jobs/{job.id} until it is done")
        return job

    def delete(self, number):
        """End a job and remove its files."""
        job = self.get(number)
        job.work.cancel()
        with self._lock:
            self._drop(job)

    def sweep(self):
        """Remove what is too old."""
        with self._lock:
            for job in [j for j in self._jobs.values() if j.ended and j.ended + self.keep_seconds < time.time()]:
                self._drop(job)

    def _finished(self, job):
        job.ended = time.time()
        with self._lock:
            gone = job.id not in self._jobs
        if gone:  # deleted while it ran, which may have made new files
            shutil.rmtree(job.folder, ignore_errors=True)

    def _drop(self, job):
        self._jobs.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)
        self._count(len(self._jobs))

"""Recordings that are separated while the client does something else.

A job is a folder, named by a digest of its id, with a `job.json` that its process keeps up to date: so every process
of a service answers for every job, whichever of them has it.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import threading
import time
from pathlib import Path

from src.core.files import rename
from src.service.engine import Cancelled
from src.service.errors import ServiceError, refusal

NOTE = "job.json"
NOTE_SECONDS = 0.5  # how often the progress of a running job is written down
UNFINISHED = ("queued", "running")


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
        self.work, self.paths, self.ended = None, [], None
        self._noted, self._lock = 0.0, threading.Lock()

    @property
    def state(self):
        future = self.work.future
        if future.cancelled():
            return "cancelled"
        if not future.done():
            return self.work.state
        error = future.exception()
        return "done" if error is None else "cancelled" if isinstance(error, Cancelled) else "failed"

    def facts(self):
        """What there is to know, as job.json has it."""
        state = self.state
        facts = {"id": self.id, "state": state, "progress": round(self.work.progress, 3),
                 "seconds": round(self.work.seconds, 3), "ended": self.ended, "owner": os.getpid()}
        if state == "done":
            done = self.work.future.result()
            facts |= {"sample_rate": done.sample_rate, "channels": done.channels, "notes": list(done.notes),
                      "voices": [path.name for path in self.paths]}
        if state == "failed":
            error = refusal(self.work.future.exception())
            facts |= {"status": error.status, "error": error.error, "hint": error.hint}
        return facts

    def note(self, now=False):
        """Write job.json, if the last time is a while ago or it has to be ``now``. A job without a folder has been
        deleted, by this process or another: then its work ends."""
        if not now and time.monotonic() - self._noted < NOTE_SECONDS:
            return
        self._noted = time.monotonic()
        try:
            with self._lock:
                fresh = self.folder / f"{NOTE}.new"
                fresh.write_text(json.dumps(self.facts()), encoding="utf-8")
                rename({fresh: self.folder / NOTE}, durable=False)  # jobs end with their service
        except FileNotFoundError:
            self.work.cancel()


class JobStore:
    """The jobs of a service and the folder that they are in, which its processes share.

    Args:
        root (Path): must exist.
        keep_seconds (float): how long a finished job stays; most (int): how many stay.
        count: called with how many there are, whenever that changes here.
    """

    def __init__(self, root, keep_seconds, most, count=lambda number: None):
        self.root, self.keep_seconds, self.most, self._count = Path(root), keep_seconds, most, count
        self._mine, self._lock = {}, threading.Lock()

    def new(self):
        """A job with an empty folder, not in the store yet."""
        number = secrets.token_urlsafe(16)
        folder = self._folder(number)
        folder.mkdir()
        return Job(folder, number)

    def _folder(self, number):
        return self.root / f"job-{hashlib.sha256(number.encode()).hexdigest()[:32]}"

    def add(self, job):
        """Keep a job whose work is set. The oldest finished ones make room.

        Raises:
            ServiceError: 429, too many are unfinished.
        """
        self.sweep()
        with self._lock:
            kept = self._all()
            if len(kept) >= self.most:
                over = {folder: facts["ended"] for folder, facts in kept.items() if facts["ended"]}
                if not over:
                    raise ServiceError(429, f"{len(kept)} jobs are unfinished", "ask again later", Retry_After=30)
                shutil.rmtree(min(over, key=over.get), ignore_errors=True)
            self._mine[job.id] = job
            job.note(now=True)
            self._count(len(self._all()))
        job.work.watch = job.note
        job.work.future.add_done_callback(lambda _future: self._finished(job))

    def facts(self, number):
        """What is known of the job with this id.

        Raises:
            ServiceError: 404.
        """
        self.sweep()
        with self._lock:
            job = self._mine.get(number)
        if job is not None and job.folder.exists():
            return job.facts()
        facts = _read(self._folder(number))
        if facts is None:
            raise ServiceError(404, "no such job", f"jobs are kept for {self.keep_seconds:g} s after they are done")
        return facts

    def work(self, number):
        """The work of a job that this process has, else None."""
        with self._lock:
            job = self._mine.get(number)
        return job and job.work

    def done(self, number):
        """(paths of the voices, sample rate) of the job with this id.

        Raises:
            ServiceError: 404; 409 not done yet; what made it fail.
        """
        facts = self.facts(number)
        if facts["state"] == "failed":
            raise ServiceError(facts["status"], facts["error"], facts["hint"])
        if facts["state"] != "done":
            raise ServiceError(409, f"the job is {facts['state']}", f"ask /v1/jobs/{number} until it is done")
        return [self._folder(number) / name for name in facts["voices"]], facts["sample_rate"]

    def delete(self, number):
        """End a job and remove its files."""
        self.facts(number)
        if work := self.work(number):
            work.cancel()
        shutil.rmtree(self._folder(number), ignore_errors=True)
        self._forget()

    def sweep(self):
        """Remove what is too old."""
        for folder, facts in self._all().items():
            if facts["ended"] and facts["ended"] + self.keep_seconds < time.time():
                shutil.rmtree(folder, ignore_errors=True)
        self._forget()

    def _all(self):
        """{folder: facts} of the jobs of all processes."""
        found = {folder: _read(folder) for folder in self.root.glob("job-*")}
        return {folder: facts for folder, facts in found.items() if facts is not None}

    def _forget(self):
        with self._lock:
            gone = [number for number, job in self._mine.items()
                    if job.work.future.done() and not job.folder.exists()]
            for number in gone:
                del self._mine[number]
            self._count(len(self._all()))

    def _finished(self, job):
        job.ended = time.time()
        job.note(now=True)
        if not (job.folder / NOTE).exists():  # deleted while it ran, which may have made new files
            shutil.rmtree(job.folder, ignore_errors=True)


def _read(folder):
    """job.json of a job, or None. What a process has left behind that is gone has failed."""
    try:
        facts = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if facts["state"] in UNFINISHED and not _alive(facts["owner"]):
        facts |= {"state": "failed", "status": 503, "error": "the process that worked on it has ended",
                  "hint": "send it again"}
        with contextlib.suppress(OSError):
            facts["ended"] = (folder / NOTE).stat().st_mtime
    return facts


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

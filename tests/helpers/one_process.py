"""In place of :func:`worker_pool`: jobs that are done in this process, for tests that look at its calls, or are to
be quick.
"""

import contextlib


@contextlib.contextmanager
def in_this_process(function, _count):
    yield lambda jobs, progress: [function(job, lambda count=1: progress(count)) for job in jobs]


def use(monkeypatch):
    """No worker processes for preprocess.py and mix.py."""
    for module in ("records.write_mixtures", "mixing.gains", "records.write_recordings"):
        monkeypatch.setattr(f"src.data.{module}.worker_pool", in_this_process)

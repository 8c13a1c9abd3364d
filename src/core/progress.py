"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time


class Progress:
    """A tqdm bar on a terminal, else a line every 10 % (no more than one a second) or 30 seconds; both with the time
    that is left.

    Args:
        total (int): how many there are to do; None: nobody knows.
        label, unit (str): what is done, and to what.
    """

    def __init__(self, total, label, unit="mixtures"):
        self.total, self.label, self.unit, self.done, self.kept = total, label, unit, 0, 0
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm  # only where it is shown

            self.bar = tqdm(total=total, desc=label, unit=unit)
        self.said_at, self.said = time.monotonic(), 0
        self.began = None  # when the first was done: what comes before is start-up

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()

    def add(self, count):
        """So many more are done. Many at once were there already: they say nothing about the speed."""
        now = time.monotonic()
        self.done += count
        self.kept += count if count > 1 else 0
        self.began = self.began or now
        if self.bar is not None:
            self.bar.update(count)
            return
        silent = now - self.said_at
        if (self.total and 10 * (self.done - self.said) >= self.total and silent >= 1) or silent >= 30:
            self.said, self.said_at = self.done, now
            rate = max(self.done - self.kept - 1, 0) / max(now - self.began, 1e-3)
            left = f", {duration((self.total - self.done) / rate)} left" if rate and self.total else ""
            total = f" of {self.total}" if self.total else ""
            print(f"{self.label}: {self.done}{total} {self.unit}, {rate:.0f} a second{left}", flush=True)


def duration(seconds):
    """Seconds as 45 s, 12 min or 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

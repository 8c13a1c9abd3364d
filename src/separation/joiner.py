"""One signal out of overlapping windows."""

import numpy as np


class Joiner:
    """Cross-fades windows [rows, t], each of which begins inside the one before."""

    def __init__(self):
        self._begin, self._pending = 0, None

    def add(self, start, window):
        """Take a window that begins at sample ``start``; returns what is settled: everything before ``start``."""
        window = window.copy()
        settled = window[:, :0]
        if self._pending is not None:
            left = self._pending[:, start - self._begin :]
            overlap = left.shape[1]
            # both sides hold the same voice, so their weights sum to one in amplitude: half a period of a raised cosine
            fade = (0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / overlap)).astype(np.float32)
            window[:, :overlap] = fade * window[:, :overlap] + (1 - fade) * left
            settled = self._pending[:, : start - self._begin]
        self._begin, self._pending = start, window
        return settled

    def finish(self):
        """What is left after the last window; None if there was none."""
        rest, self._pending = self._pending, None
        return rest

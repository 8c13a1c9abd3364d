"""Where the windows lie that a long recording is run in."""

import numpy as np


class WindowCutter:
    """Cuts a stream into overlapping windows of one length.

    The last window is moved back to end with the recording, so that none is padded: the norms of the network would see
    the padding. A recording that fits into one window is one, as long as it is.

    Args:
        length (int): of a window, samples.
        overlap (int): of neighbouring windows, samples, below ``length``.
    """

    def __init__(self, length, overlap):
        self.length, self.overlap = length, overlap
        self._samples = np.zeros(0, np.float32)
        self._begin = 0  # where the latest window begins, and with it what is kept
        self._next = 0  # where the next window begins
        self._covered = 0  # where the latest window ends

    def push(self, samples):
        """Yields the windows that are whole now: (start, samples float32 [length])."""
        self._samples = np.concatenate([self._samples, samples])
        while self._begin + len(self._samples) >= self._next + self.length:
            self._samples = self._samples[self._next - self._begin :]
            self._begin, self._covered = self._next, self._next + self.length
            window = self._samples[: self.length]
            yield self._begin, window
            self._next = self._begin + self.length - self.overlap

    def finish(self):
        """Yields the last window, if anything is left."""
        end = self._begin + len(self._samples)
        if end > self._covered:
            last = self._samples[-self.length :]
            yield end - len(last), last

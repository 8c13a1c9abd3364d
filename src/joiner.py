"""One track per speaker out of overlapping windows."""

import numpy as np


class Joiner:
    """Puts the speakers of each window in the order of the windows before and cross-fades neighbours.

    Args:
        order (src.speaker_order.SpeakerOrder): of the first rows of each window.
        speakers (int): how many rows that are; further ones are carried along as they are.
    """

    def __init__(self, order, speakers):
        self.order, self.speakers = order, speakers
        self._begin, self._pending = 0, None

    def add(self, start, window):
        """Take the rows [C + n, t] of a window that begins at sample ``start``, inside the one before; returns what
        is settled: the rows of everything before ``start``."""
        left = None if self._pending is None else self._pending[:, start - self._begin :]
        tracks = window[: self.speakers]
        rows = np.concatenate([tracks[self.order(None if left is None else left[: self.speakers], tracks)],
                               window[self.speakers :]])
        settled = rows[:, :0]
        if left is not None:
            overlap = left.shape[1]
            # both sides hold the same voice, so their weights sum to one in amplitude: half a period of a raised cosine
            fade = (0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / overlap)).astype(np.float32)
            rows[:, :overlap] = fade * rows[:, :overlap] + (1 - fade) * left
            settled = self._pending[:, : start - self._begin]
        self._begin, self._pending = start, rows
        return settled

    def finish(self):
        """What is left after the last window."""
        rest, self._pending = self._pending, None
        return rest

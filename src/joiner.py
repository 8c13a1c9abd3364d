"""One track per speaker out of overlapping windows whose speakers come in any order."""

import itertools

import numpy as np


def orders(speakers):
    """Every order of the speakers, int [C!, C]; the given one first."""
    return np.array(list(itertools.permutations(range(speakers))))


def order_scores(similarity):
    """How well each order of :func:`orders` fits: similarity [C, C] (known track, new track) -> [C!]."""
    speakers = len(similarity)
    return similarity[np.arange(speakers), orders(speakers)].sum(1)


class Joiner:
    """Puts the speakers of each window in the order of the windows before and cross-fades neighbours.

    Args:
        speakers (int): tracks of a window; rows that follow them are carried along in the order they have.
    """

    def __init__(self, speakers):
        self.speakers = speakers
        self._begin, self._pending = 0, None

    def add(self, start, window):
        """Take the rows [C + n, t] of a window that begins at sample ``start``, inside the one before; returns what
        is settled: the rows of everything before ``start``."""
        if self._pending is None:
            self._begin, self._pending = start, window
            return window[:, :0]
        before = start - self._begin
        left = self._pending[:, before:]
        overlap = left.shape[1]
        window = window[self._order(left, window)]
        # both sides hold the same voice, so their weights sum to one in amplitude: half a period of a raised cosine
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(overlap) + 0.5) / overlap)
        window[:, :overlap] = fade * window[:, :overlap] + (1 - fade) * left
        settled, self._begin, self._pending = self._pending[:, :before], start, window
        return settled

    def finish(self):
        """What is left after the last window."""
        rest, self._pending = self._pending, None
        return rest

    def _order(self, left, window):
        """Rows of ``window`` that continue those of ``left``: of all orders the one with the largest sum of inner
        products over the overlap, which is the one with the smallest squared difference."""
        known, new = (rows[: self.speakers, : left.shape[1]].astype(np.float64) for rows in (left, window))
        best = orders(self.speakers)[order_scores(known @ new.T).argmax()]
        return [*best, *range(self.speakers, len(window))]

"""Which track of a window is which speaker: by what neighbouring windows share, and by a memory of the voices."""

import functools
import itertools

import numpy as np

from src.voice_profile import Cepstra, Listener

CLEAR = 0.1  # an overlap decides if its best order is better than the next one by this share of its energy ...
SPEECH_SECONDS = 0.2  # ... and somebody speaks in it for so long
SURE = 0.5  # a run of windows is turned round if the voices fit so much better (squared distance)


@functools.cache
def orders(speakers):
    """Every order of the speakers, int [C!, C]; the given one first."""
    return np.array(list(itertools.permutations(range(speakers))))


def order_scores(similarity):
    """How well each of :func:`orders` fits: similarity [C, C] (speaker, track) -> [C!]."""
    speakers = len(similarity)
    return similarity[np.arange(speakers), orders(speakers)].sum(1)


class SpeakerOrder:
    """Puts the tracks of window after window into one order of speakers.

    Where somebody speaks in the overlap of two windows, their tracks are alike there: the order with the largest sum
    of inner products is taken (the one with the smallest squared difference). Windows linked so make a run. Where the
    overlap is silent or undecided a new run begins, and its speakers are told by their voices: the mean cepstra of
    the run against those of all runs before. They are asked again with each further window of the run, as the more is
    heard of a voice the surer it is known, and a run that turns out to fit the other way round is turned.
    """

    def __init__(self, speakers, sample_rate):
        self._speakers = speakers
        self._listener = Listener(sample_rate)
        self._known = Cepstra.none(speakers)  # by speaker, from the runs before
        self._run = None  # Cepstra by track of the run
        self._track = np.arange(speakers)  # of the run, for each speaker

    def __call__(self, left, window):
        """The order of a window: for each speaker the row of it.

        Args:
            left: what the windows before gave for where this one begins, [C, overlap]; None for the first.
            window: tracks [C, t], its first samples those of the overlap.
        """
        heard = self._listener.hear(window)
        if left is None:
            self._run = heard
            return self._track
        likeness, clear = self._compare(left, window[:, : left.shape[1]])
        if not clear:
            self._known += self._run[self._track]
            likeness = likeness + self._known.similarity(heard)
            self._run, self._track = heard, orders(self._speakers)[order_scores(likeness).argmax()]
            return self._track
        row = np.empty_like(self._track)  # of the window, for each track of the run
        row[self._track] = orders(self._speakers)[order_scores(likeness).argmax()]
        self._run += heard[row]
        scores = order_scores(self._known.similarity(self._run))
        kept = int((orders(self._speakers) == self._track).all(1).argmax())
        if scores.max() > scores[kept] + SURE:
            self._track = orders(self._speakers)[scores.argmax()]
        return row[self._track]

    def _compare(self, left, right):
        """Likeness [C, C] of the tracks of an overlap, as a share of its energy, and whether it decides their order."""
        left, right = left.astype(np.float64), right.astype(np.float64)
        energy = (np.sum(left**2) + np.sum(right**2)) / 2
        likeness = left @ right.T / energy if energy > 0 else np.zeros((self._speakers,) * 2)
        if self._speakers == 1:
            return likeness, True
        best, second = np.sort(order_scores(likeness))[[-1, -2]]
        return likeness, best - second >= CLEAR and self._listener.speech_seconds(left) >= SPEECH_SECONDS

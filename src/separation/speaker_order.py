"""Which track of a window is which speaker: by what neighbouring windows share, and by a memory of the voices."""

import functools
import itertools

import numpy as np

from src.separation.voice_profile import Cepstra, Listener

CLEAR = 0.1  # an overlap decides if its best order is better than the next one by this share of its energy ...
SPEECH_SECONDS = 0.2  # ... and somebody speaks in it for so long
SURE = 2.0  # voices decide at once if they fit so much better than in the next order (squared distance) ...
PATIENCE = 3  # ... and with what is known after so many windows otherwise
TURN = 0.5  # a run of windows is turned round later if its voices fit so much better then


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
    the run against those of all runs before. The more is heard of a voice the surer it is known, so the first windows
    of a run wait for the next ones if need be, and a run that turns out to fit the other way round is turned.

    Args:
        speakers (int): C.
        sample_rate (int): Hz.
    """

    def __init__(self, speakers, sample_rate):
        self._speakers = speakers
        self._listener = Listener(sample_rate)
        self._known = Cepstra.none(speakers)  # by speaker, from the runs before
        self._run = None  # Cepstra by track of the run; the tracks are in the order of its first window
        self._track = np.arange(speakers)  # of the run, for each speaker
        self._hint = np.zeros((speakers, speakers))  # likeness of (speaker, track) where the run begins
        self._waiting = []  # windows (start, rows) of the run
        self._settled = True  # whether windows of the run have been given
        self._last = None  # (start, tracks of the run) of the latest window

    def add(self, start, rows):
        """Take a window that begins at sample ``start``, inside the one before.

        Args:
            rows: [C + n, t]: C tracks; what follows them is carried along.
        Returns:
            list: windows (start, rows in the order of speakers) that are decided now, the oldest first.
        """
        tracks = rows[: self._speakers]
        heard = self._listener.hear(tracks)
        given = []
        if self._last is None:
            self._run = heard
        else:
            begin, last = self._last
            left = last[:, start - begin :]
            likeness, clear = self._compare(left, tracks[:, : left.shape[1]])
            if clear:
                order = orders(self._speakers)[order_scores(likeness).argmax()]
                rows = self._arrange(rows, order)
                self._run += heard[order]
            else:
                given = self._give()
                self._known += self._run[self._track]
                self._run, self._hint, self._settled = heard, likeness[self._track], False
        self._last = start, rows[: self._speakers]
        self._waiting.append((start, rows))
        if self._decide() or len(self._waiting) >= PATIENCE:
            given += self._give()
        return given

    def finish(self):
        """The windows that still waited, as :meth:`add` gives them."""
        return self._give()

    def _decide(self):
        """Which track of the run is which speaker, by what is known now; returns whether that is sure."""
        scores = order_scores(self._known.similarity(self._run) + self._hint)
        now = int((orders(self._speakers) == self._track).all(1).argmax())
        if not self._settled or scores.max() > scores[now] + TURN:
            self._track = orders(self._speakers)[scores.argmax()]
        best, second = np.sort(scores)[[-1, -2]] if len(scores) > 1 else (np.inf, 0)
        return self._settled or best - second >= SURE

    def _give(self):
        given = [(start, self._arrange(rows, self._track)) for start, rows in self._waiting]
        self._waiting, self._settled = [], True
        return given

    def _arrange(self, rows, order):
        return rows[[*order, *range(self._speakers, len(rows))]]

    def _compare(self, left, right):
        """Likeness [C, C] of the tracks of an overlap, as a share of its energy, and whether it decides their order."""
        left, right = left.astype(np.float64), right.astype(np.float64)
        energy = (np.sum(left**2) + np.sum(right**2)) / 2
        likeness = left @ right.T / energy if energy > 0 else np.zeros((self._speakers,) * 2)
        if self._speakers == 1:
            return likeness, True
        best, second = np.sort(order_scores(likeness))[[-1, -2]]
        return likeness, best - second >= CLEAR and self._listener.speech_seconds(left) >= SPEECH_SECONDS

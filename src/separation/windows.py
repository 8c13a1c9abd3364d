"""Where the windows lie that a long recording is run in."""

import numpy as np

FRAME_SECONDS = 0.02
QUIET_DB = 30.0  # frames so far below the loudest one yet are pauses
SPEECH_SECONDS = 1.0  # speech that an overlap should hold: what tells who continues whom


class WindowCutter:
    """Cuts a stream into overlapping windows of one length.

    Where the end of a window is silent the next one reaches further back, to the last second of speech, if that is in
    the window's second half. The last window is moved back to end with the recording, so that none is padded: the
    norms of the network would see the padding. A recording that fits into one window is one, as long as it is.

    Args:
        length (int): of a window, samples.
        overlap (int): of neighbouring windows, samples, at most half of ``length``.
        sample_rate (int): Hz.
    """

    def __init__(self, length, overlap, sample_rate):
        self.length, self.overlap = length, overlap
        self._frame = max(1, round(FRAME_SECONDS * sample_rate))
        self._speech = round(SPEECH_SECONDS / FRAME_SECONDS)  # frames
        self._loudest = 0.0  # power of a frame
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
            self._next = self._begin + self._step(window)
            yield self._begin, window

    def finish(self):
        """Yields the last window, if anything is left."""
        end = self._begin + len(self._samples)
        if end > self._covered:
            last = self._samples[-self.length :]
            yield end - len(last), last

    def _step(self, window):
        """How far after this window the next one begins, samples."""
        half = self.length // 2
        frames = window[half:][: (self.length - half) // self._frame * self._frame].reshape(-1, self._frame)
        powers = np.einsum("ft,ft->f", frames, frames, dtype=np.float64)
        self._loudest = max(self._loudest, powers.max(initial=0))
        speech = powers > self._loudest * 10 ** (-QUIET_DB / 10)
        usual = self.length - self.overlap
        behind = np.cumsum(speech[::-1])[::-1]  # frames of speech from each frame on
        enough = np.flatnonzero(behind >= self._speech)
        return min(usual, half + int(enough[-1]) * self._frame) if enough.size else usual

"""What voices sound like, remembered over a whole recording: the mean cepstrum of each.

Cepstral means tell speakers apart and are cheap (Furui 1981, doi 10.1109/TASSP.1981.1163530, for speaker
verification); the distance between them is Mahalanobis' with the variances within the voices.
"""

import functools

import numpy as np

FRAME_SECONDS = 0.032  # half of it from frame to frame
BANDS, COEFFICIENTS = 24, 20  # mel bands; cepstral coefficients, without the zeroth, which is the level
LOWEST, HIGHEST = 80.0, 4000.0  # Hz
SPEECH_DB = 30.0  # frames so far below the loudest one yet are pauses
FLOOR_DB = 60.0  # nothing is weaker than this: the logarithm of silence
OWN = 0.7  # a frame tells of the voice that has this share of its power
ENOUGH = 20  # frames: fewer say nothing of a voice


class Cepstra:
    """Counts, sums and squares of cepstra of several voices: ``count`` [C], ``sum`` and ``square`` [C, COEFFICIENTS].
    """

    def __init__(self, count, total, square):
        self.count, self.sum, self.square = count, total, square

    def __add__(self, other):
        return Cepstra(self.count + other.count, self.sum + other.sum, self.square + other.square)

    def __getitem__(self, order):
        return Cepstra(self.count[order], self.sum[order], self.square[order])

    @classmethod
    def none(cls, voices):
        """Of voices that nobody has heard yet."""
        return cls(np.zeros(voices), *np.zeros((2, voices, COEFFICIENTS)))

    def similarity(self, other):
        """Minus the squared distance of each of these voices to each other one: [C, C']; 0 of what is hardly known."""
        result = np.zeros((len(self.count), len(other.count)))
        if self.count.min() < ENOUGH:
            return result
        means = self.sum / self.count[:, None]
        within = (self.square.sum(0) - (self.sum * means).sum(0)) / self.count.sum() + 1e-9
        known = other.count >= ENOUGH
        theirs = other.sum[known] / other.count[known, None]
        result[:, known] = -((means[:, None] - theirs) ** 2 / within).sum(2)
        return result


class Listener:
    """Measures :class:`Cepstra` of the windows of one recording.

    Args:
        sample_rate (int): Hz.
    """

    def __init__(self, sample_rate):
        self._size = max(4, round(FRAME_SECONDS * sample_rate))
        self._taper = np.hanning(self._size + 1)[:-1]
        self._bands = mel_bands(self._size, sample_rate)
        self._loudest = 0.0  # power of a frame

    def hear(self, tracks):
        """Tracks [C, t] of a window -> :class:`Cepstra` of the frames in which one of them is much the loudest."""
        if tracks.shape[1] < self._size:
            return Cepstra.none(len(tracks))
        frames = np.lib.stride_tricks.sliding_window_view(tracks, self._size, 1)[:, :: self._size // 2]
        powers = np.abs(np.fft.rfft(frames * self._taper)) ** 2  # [C, frames, bins]
        own = powers.sum(2)
        together = own.sum(0)
        self._loudest = max(self._loudest, float(together.max()))
        speech = together > self._loudest * 10 ** (-SPEECH_DB / 10)
        floor = self._loudest * 10 ** (-FLOOR_DB / 10) / BANDS
        heard = Cepstra.none(len(tracks))
        if not speech.any():
            return heard
        for c, power in enumerate(powers):
            chosen = power[speech & (own[c] > OWN * together)]
            cepstra = np.log(chosen @ self._bands.T + floor) @ cosines()
            heard.count[c], heard.sum[c], heard.square[c] = len(cepstra), cepstra.sum(0), (cepstra**2).sum(0)
        return heard

    def speech_seconds(self, tracks):
        """How long somebody speaks in tracks [C, t]."""
        whole = tracks.shape[1] // self._size * self._size
        frames = tracks[:, :whole].reshape(len(tracks), -1, self._size) * self._taper
        powers = np.einsum("cft,cft->f", frames, frames, dtype=np.float64) * self._size / 2  # Parseval, half the bins
        return np.count_nonzero(powers > self._loudest * 10 ** (-SPEECH_DB / 10)) * FRAME_SECONDS


def mel_bands(size, sample_rate):
    """Triangles of equal width on the mel scale: [BANDS, bins of a spectrum of ``size`` samples]."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOWEST, min(HIGHEST, sample_rate / 2)))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


@functools.cache
def cosines():
    """The orthonormal DCT-II without its zeroth row, as [BANDS, COEFFICIENTS]: scipy.fft takes 0.2 s to import."""
    band, number = np.arange(BANDS)[:, None], np.arange(1, COEFFICIENTS + 1)
    return np.sqrt(2 / BANDS) * np.cos(np.pi * (2 * band + 1) * number / (2 * BANDS))

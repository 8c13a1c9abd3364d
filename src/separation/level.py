"""Level and polarity of the estimates, which SI-SNR leaves open: both by the mixture."""

import numpy as np

from src.audio.files import PCM_SCALE

FULL_SCALE = (PCM_SCALE - 1) / PCM_SCALE  # the largest sample that 16 bits hold


class MixtureFit:
    """The least-squares gain of a sum of estimates to its mixture, over any number of pieces.

    Attributes:
        gain (float): for all estimates alike, so that the speakers' relative levels stay; 1 where they are silent.
    """

    def __init__(self):
        self._product = self._energy = 0.0

    def add(self, estimates, mixture):
        """Estimates [C, t] of the mixture [t]."""
        total = estimates.sum(0, dtype=np.float64)
        self._energy += float(total @ total)
        self._product += float(total @ mixture)

    @property
    def gain(self):
        return self._product / self._energy if self._energy > 0 else 1.0

    def safe_gain(self, peak):
        """The gain, lowered where estimates whose largest magnitude is ``peak`` would pass 16-bit full scale."""
        loudest = peak * abs(self.gain)
        return self.gain * (FULL_SCALE / loudest if loudest > FULL_SCALE else 1.0)


def scale_to_mixture(estimates, mixture):
    """Estimates [C, T] as float32, by one gain near the mixture [T] and within full scale."""
    fit = MixtureFit()
    fit.add(estimates, mixture)
    return (estimates * fit.safe_gain(float(np.abs(estimates).max()))).astype(np.float32)


def upright(estimates, mixtures):
    """Estimates [B, C, T] with the polarity of their mixtures [B, T]: those that go against it turned over.

    A model may have learnt another polarity for each track: those could neither be added up nor joined where the next
    window has the speakers in another order.
    """
    against = np.einsum("bct,bt->bc", estimates, mixtures, dtype=np.float64) < 0
    return np.where(against[:, :, None], -estimates, estimates)

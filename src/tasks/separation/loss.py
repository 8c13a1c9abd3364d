"""SI-SNR, pairwise, and the permutation search over it. Training, validation and evaluation all score with this.

SI-SNR: Le Roux et al. 2019 (arXiv 1811.02508), zero-mean. PIT: Yu et al. 2017 (arXiv 1607.00325), exhaustive.
Silent targets in training: thresholded SNR, Wisdom et al. 2021 (arXiv 2011.00803).
"""

import itertools
import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

# Inside the ratio and the logarithm: a silent source or estimate scores -80 dB with a zero gradient.
EPS = 1e-8
MAX_SNR = 30.0  # dB, where the thresholded SNR saturates: of a target that is heard ...
MAX_SNR_SILENT = 20.0  # ... and of a silent one, against the voices (both as in the FUSS baseline)
DB_PER_NEPER = 10 / math.log(10)  # 10 log10(x) = DB_PER_NEPER * ln(x)


def pairwise_si_snr(estimates, sources, lengths):
    """SI-SNR of every estimate against every source, dB; arguments as of :func:`pairwise_ratio`."""
    return DB_PER_NEPER * ops.log(pairwise_ratio(estimates, sources, lengths))


def pairwise_ratio(estimates, sources, lengths):
    """SI-SNR of every estimate against every source as a ratio of powers, above 0.

    Args:
        estimates (Tensor): [B, E, T].
        sources (Tensor): [B, C, T].
        lengths (Tensor): int32 [B], valid samples; the rest is ignored.
    Returns:
        Tensor: [B, E, C].
    """
    return _powers(*_comparable(estimates, sources, lengths))[0]


def training_scores(estimates, sources, lengths):
    """What training maximizes, dB [B, E, C]: SI-SNR; where a mixture has a silent source the thresholded SNR.

    SI-SNR of a silent source is undefined, and being free of scale it cannot ask for silence. So in a mixture that has
    one every estimate e is scored against every source s by

        10 log10(P / (|s - e|^2 + tau P)),

    with P = |s|^2 and tau = 10^(-30/10) for a source that is heard. For a silent one P is the energy of all sources
    together and tau = 10^(-20/10): how far below the voices the estimate lies. All is zero-mean as in SI-SNR. A source
    is silent if its energy is at most EPS. Arguments as of :func:`pairwise_ratio`.
    """
    estimates, sources = _comparable(estimates, sources, lengths)
    ratio, dot, energy, estimate = _powers(estimates, sources)
    si_snr = DB_PER_NEPER * ops.log(ratio)
    silent = energy <= EPS
    power = ops.where(silent, ops.sum(energy, -1, keepdim=True), energy)
    floor = ops.where(silent, 10 ** (-MAX_SNR_SILENT / 10), 10 ** (-MAX_SNR / 10)) * power + EPS
    error = ops.relu(energy - 2 * dot + estimate)
    snr = DB_PER_NEPER * ops.log((power + EPS) / (error + floor))
    some_silent = ops.sum(silent.astype(energy.dtype), -1, keepdim=True) > 0  # [B, 1, 1]
    return ops.where(ops.broadcast_to(some_silent, snr.shape), snr, si_snr)


def _comparable(estimates, sources, lengths):
    """Zero-mean over their valid samples, zero elsewhere: estimates [B, E, 1, T], sources [B, 1, C, T]."""
    steps = ops.arange(0, sources.shape[-1], 1, dtype=ms.int32)
    valid = (steps[None] < lengths[:, None]).astype(sources.dtype)[:, None]  # [B, 1, T]
    count = lengths.astype(sources.dtype)[:, None, None]
    return zero_mean(estimates, valid, count)[:, :, None], zero_mean(sources, valid, count)[:, None]


def _powers(estimates, sources):
    """Of what :func:`_comparable` gives: the SI-SNR as a ratio of powers, the dot products, the energies of the sources
    [B, 1, C] and of the estimates (the sum of the two that the ratio is of), all else [B, E, C]."""
    dot = ops.sum(estimates * sources, -1, keepdim=True)
    energy = ops.sum(sources * sources, -1, keepdim=True)
    target = dot / (energy + EPS) * sources  # [B, E, C, T]
    noise = estimates - target
    target, noise = ops.sum(target * target, -1), ops.sum(noise * noise, -1)
    return target / (noise + EPS) + EPS, ops.squeeze(dot, -1), ops.squeeze(energy, -1), target + noise


def zero_mean(signals, valid, count):
    """Remove the mean over the valid samples and silence the rest: [B, C, T]."""
    signals = signals * valid
    return (signals - ops.sum(signals, -1, keepdim=True) / count) * valid


class PermutationSearch(nn.Cell):
    """The assignment of estimates to sources with the highest mean score.

    Pairwise scores [B, C, C] -> (mean score [B], assignment int32 [B, C]: the estimate that serves source c).
    """

    def __init__(self, speakers):
        super().__init__()
        table = np.array(list(itertools.permutations(range(speakers))), np.int32)  # [P, C]
        self.table = Tensor(table)
        self.flat_index = Tensor((table * speakers + np.arange(speakers)).reshape(-1).astype(np.int32))  # into [C * C]
        self.speakers = speakers

    def construct(self, scores):
        batch = scores.shape[0]
        picked = ops.gather(ops.reshape(scores, (batch, -1)), self.flat_index, 1)
        means = ops.mean(ops.reshape(picked, (batch, -1, self.speakers)), 2)  # [B, P]
        best = ops.argmax(means, 1)
        return ops.max(means, 1)[0], ops.gather(self.table, best, 0)


class PITLoss(nn.Cell):
    """Negative score (:func:`training_scores`) under the best permutation, averaged over the batch: a scalar, dB."""

    def __init__(self, speakers):
        super().__init__()
        self.search = PermutationSearch(speakers)

    def construct(self, estimates, sources, lengths):
        best, _ = self.search(training_scores(estimates, sources, lengths))
        return -ops.mean(best)


class UnlearntLoss(nn.Cell):
    """The PIT loss of the utterances whose loss is still above ``threshold`` dB (0: of all of them).

    Returns (their sum divided by the batch size, the plain loss of the whole batch, their share of the batch). Leaving
    out what is separated well already is how SpeechBrain trains SepFormer (Subakan et al. 2021, arXiv 2010.13154).
    """

    def __init__(self, speakers, threshold):
        super().__init__()
        self.search = PermutationSearch(speakers)
        self.threshold = threshold

    def construct(self, estimates, sources, lengths):
        best, _ = self.search(training_scores(estimates, sources, lengths))
        loss = -ops.mean(best)
        if self.threshold == 0:
            return loss, loss, ops.ones_like(loss)
        kept = (-best > self.threshold).astype(best.dtype)
        return -ops.mean(best * kept), loss, ops.mean(kept)

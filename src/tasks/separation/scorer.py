"""Scores of separated utterances, with the same SI-SNR and permutation search the loss uses."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.tasks.separation.loss import DB_PER_NEPER, PermutationSearch, pairwise_ratio


class _Graph(nn.Cell):
    def __init__(self, speakers):
        super().__init__()
        self.search = PermutationSearch(speakers)

    def construct(self, mixture, sources, estimates, lengths):
        ratios = pairwise_ratio(estimates, sources, lengths)
        _, assignment = self.search(ops.log(ratios))
        return ratios, assignment, pairwise_ratio(mixture[:, None], sources, lengths)[:, 0]


class Scorer:
    """SI-SNR of estimates against sources under the best permutation, and of the mixture itself.

    Called with mixture [B, T], sources [B, C, T], estimates [B, C, T] (numpy float32), it returns a dict of numpy
    arrays [B, C], one column per source: ``si_snr``, ``si_snr_in``, ``si_snri`` (dB) and ``assignment``, the
    estimate that serves the source. A row with a silent source has no defined SI-SNR: its scores are NaN.
    """

    def __init__(self, speakers):
        self.graph = _Graph(speakers)
        unknown = [Tensor(shape=[None] * axes, dtype=ms.float32) for axes in (2, 3, 3)]
        self.graph.set_inputs(*unknown, Tensor(shape=[None], dtype=ms.int32))

    def __call__(self, mixture, sources, estimates):
        lengths = np.full(len(mixture), mixture.shape[-1], np.int32)
        arrays = (np.ascontiguousarray(a, np.float32) for a in (mixture, sources, estimates))
        outputs = self.graph(*(Tensor(a) for a in arrays), Tensor(lengths))
        ratios, assignment, before = (o.asnumpy() for o in outputs)
        # numpy's logarithm: the last bit of the CPU kernel's depends on how many times it has been called
        pairwise, before = (DB_PER_NEPER * np.log(ratio) for ratio in (ratios, before))
        after = np.take_along_axis(pairwise, assignment[:, None], 1)[:, 0]
        silent = (sources == sources[..., :1]).all(-1).any(-1)
        scores = {"si_snr": after, "si_snr_in": before, "si_snri": after - before}
        return {k: np.where(silent[:, None], np.nan, v) for k, v in scores.items()} | {"assignment": assignment}

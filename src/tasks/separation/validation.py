"""Mean loss and SI-SNRi over whole utterances, shared among the processes of a job."""

import numpy as np
from mindspore import Tensor

from src.data.loading.mixtures import utterances
from src.network.registry import build
from src.tasks.separation.scorer import Scorer
from src.weights import checkpoint


class Validator:
    """Scores weights with a network of its own, which takes any length.

    The training network is compiled for one crop length; sharing it would compile it again and again.

    Args:
        config: of the network.
        records (src.data.loading.mixtures.Records): the validation set.
        max_samples (int): longer utterances are cut; 0: none is.
        world (src.distributed.world.World): each process scores every ``size``-th utterance, none twice.
    """

    def __init__(self, config, records, max_samples, world):
        self.network = checkpoint.for_inference(build(config))
        self.scorer = Scorer(config.num_spks)
        self.records, self.max_samples, self.world = records, max_samples, world

    def __call__(self, weights):
        """(mean loss, mean SI-SNRi), dB, of ``weights`` ({name: Parameter}): the same on every process."""
        for parameter in self.network.get_parameters():
            parameter.set_data(weights[parameter.name])
        scores = np.zeros((self.records.rows, 2), np.float32)  # every row is filled in by one process
        mine = range(self.world.rank, self.records.rows, self.world.size)
        for i, item in zip(mine, utterances(self.records, mine, self.max_samples)):
            estimates = self.network(Tensor(item.mixture[None])).asnumpy()
            found = self.scorer(item.mixture[None], item.sources[None], estimates)
            scores[i] = -found["si_snr"].mean(), found["si_snri"].mean()
        scores = self.world.sum(scores).astype(np.float64)
        if np.isnan(scores).all():
            return float("nan"), float("nan")
        loss, improvement = np.nanmean(scores, 0)
        return float(loss), float(improvement)

"""Mean SI-SNRi over the whole utterances of a wav tree, as eval.py has it."""

import numpy as np
import torch

from src.audio.files import from_pcm16
from src.core.errors import UserError
from src.data.corpora.mixture_tree import load, pair, subset_tree
from src.data.corpora.subset import Skip
from torch_training.loss import best_permutation, pairwise_si_snr

TASKS = ("sep_clean", "sep_noisy", "enh_single")  # what a tree is taken for: the first it has the folders of


class Validator:
    """The utterances of a wav tree in memory; calling it with a model scores them.

    Args:
        folder: with mix_clean (or mix_both, mix_single), s1, s2 ...
        config (TorchConfig): sample_rate, num_spks, cv_maxlen.
    Raises:
        UserError: no such tree, or nothing usable in it.
    """

    def __init__(self, folder, config):
        tree = next(filter(None, (subset_tree(folder, task, config.num_spks) for task in TASKS)), None)
        if tree is None:
            raise UserError(f"--valid {folder}: not a wav tree (mix_clean or mix, with s1 s2 ...)")
        longest, self.items, self.skipped = round(config.cv_maxlen * config.sample_rate) or None, [], []
        mixtures, _ = pair(tree)
        for mixture in mixtures:
            try:
                signals = [from_pcm16(signal)[..., :longest] for signal in load(mixture, config.sample_rate)]
            except Skip as skip:
                self.skipped.append(f"{skip.reason}: {skip}")
                continue
            if not (signals[1] == signals[1][:, :1]).all(-1).any():  # a silent source has no SI-SNR
                self.items.append(signals)
        if not self.items:
            raise UserError(f"--valid {folder}: not one usable mixture ({'; '.join(self.skipped[:3]) or 'no audio'})")

    @torch.no_grad()
    def __call__(self, model, device):
        """(mean loss, mean SI-SNRi), dB; in fp32."""
        model.eval()
        found = []
        for mixture, sources in self.items:
            mixture, sources = (torch.from_numpy(a)[None].to(device) for a in (mixture, sources))
            best, _ = best_permutation(pairwise_si_snr(model(mixture), sources))
            before = pairwise_si_snr(mixture[:, None], sources).mean()
            found.append(torch.stack((-best[0], best[0] - before)))
        model.train()
        return tuple(np.mean(torch.stack(found).cpu().numpy().astype(np.float64), 0).tolist())

"""The training loss of loss.py in PyTorch: SI-SNR, thresholded SNR beside silent sources, exhaustive PIT."""

import itertools
import math

import torch

EPS = 1e-8
MAX_SNR, MAX_SNR_SILENT = 30.0, 20.0  # dB, of the thresholded SNR (Wisdom et al. 2021, arXiv 2011.00803)
DB_PER_NEPER = 10 / math.log(10)


def training_scores(estimates, sources):
    """dB of every estimate [B, E, T] against every source [B, C, T]: [B, E, C]; the rules of loss.py."""
    ratio, dot, energy, estimate = _powers(estimates, sources)
    silent = energy <= EPS
    power = torch.where(silent, energy.sum(-1, keepdim=True), energy)
    tau = torch.where(silent, 10 ** (-MAX_SNR_SILENT / 10), 10 ** (-MAX_SNR / 10))
    error = torch.relu(energy - 2 * dot + estimate)
    snr = DB_PER_NEPER * torch.log((power + EPS) / (error + tau * power + EPS))
    return torch.where(silent.any(-1, keepdim=True), snr, DB_PER_NEPER * torch.log(ratio))


def pairwise_si_snr(estimates, sources):
    """SI-SNR, dB, as :func:`training_scores`."""
    return DB_PER_NEPER * torch.log(_powers(estimates, sources)[0])


def _powers(estimates, sources):
    estimates = (estimates - estimates.mean(-1, keepdim=True))[:, :, None]
    sources = (sources - sources.mean(-1, keepdim=True))[:, None]
    dot = (estimates * sources).sum(-1, keepdim=True)
    energy = (sources * sources).sum(-1, keepdim=True)
    target = dot / (energy + EPS) * sources
    noise = estimates - target
    target, noise = (target * target).sum(-1), (noise * noise).sum(-1)
    return target / (noise + EPS) + EPS, dot[..., 0], energy[..., 0], target + noise


def best_permutation(scores):
    """Pairwise scores [B, C, C] -> (highest mean [B], estimate that serves each source [B, C])."""
    speakers = scores.shape[1]
    table = torch.tensor(list(itertools.permutations(range(speakers))), device=scores.device)  # [P, C]
    means = scores[:, table, torch.arange(speakers, device=scores.device)].mean(-1)
    best, chosen = means.max(1)
    return best, table[chosen]

"""Batches of the mixtures that train.py --dynamic_mixing would make of the same recordings, in its order."""

import signal
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from src.audio.rooms import Rooms
from src.data.loading.batch_order import shared
from src.data.loading.mixture_recipe import FreshMixtures, check_options
from torch_training.audio_tapes import AudioTapes


class FreshDataset(FreshMixtures, Dataset):
    """Mixtures by (epoch, index): (mixture float32 [T], targets float32 [C, T])."""

    def __init__(self, config):
        check_options(config)
        voices = AudioTapes(config.speech_dir, "speech_dir", config.sample_rate, config.speaker_level,
                            config.min_seconds, config.num_spks)
        noises = AudioTapes(config.noise_dir, "noise_dir", config.sample_rate, 0) if config.noise_dir else None
        rooms = Rooms(config.rir_dir, config.sample_rate) if config.rir_dir else None
        super().__init__(config, voices, noises, rooms)
        self.skipped = {"speech_dir": voices.skipped, "noise_dir": noises.skipped if noises else {}}

    @lru_cache(2)  # noqa: B019 one dataset lives as long as its process
    def draws(self, epoch):
        return super().draws(epoch)

    def __getitem__(self, key):
        epoch, index = key
        (_, pcm, cuts, levels), = self.recorded(epoch, [index])
        return self.mix((self.config.seed, epoch, index + 1), pcm, cuts, levels)[:2]

    def steps(self):
        """Optimizer steps per epoch."""
        return -(-self.mixtures // rows_per_step(self.config))


def rows_per_step(config):
    """Mixtures per optimizer step."""
    return config.batch_size * config.accumulate


def batches(dataset, epoch, position):
    """Yield (mixture [B, T], sources [B, C, T]), numpy, from step ``position`` of ``epoch`` to the recipe's end.

    The order is train.py's, whatever the number of workers; they live on from epoch to epoch.
    """
    config = dataset.config

    def order():
        rows = rows_per_step(config)
        for number in range(epoch, config.epochs):
            start = position * rows if number == epoch else 0
            for batch in shared(np.arange(dataset.mixtures), rows, 0, 1)[start:].reshape(-1, rows):
                yield [(number, int(index)) for index in batch]

    # Numpy arrays travel by pipe: the shared memory of a container is often too small for tensors. The generator is for
    # a seed that nothing uses, else drawn from dropout's. Forked, the workers have the recordings at no cost.
    return iter(DataLoader(dataset, batch_sampler=_Order(order), num_workers=config.num_workers, collate_fn=_stack,
                           multiprocessing_context="fork", prefetch_factor=4, worker_init_fn=_leave_signals,
                           generator=torch.Generator()))


class _Order:
    def __init__(self, order):
        self.order = order

    def __iter__(self):
        return self.order()


def _stack(items):
    return tuple(np.stack(signals) for signals in zip(*items))


def _leave_signals(_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that saves the state
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

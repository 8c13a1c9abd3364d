"""Training on mixtures that are made as they are needed: what mixture_recipe.py says, in MindSpore's pipeline."""

import os

import mindspore.dataset as ds
import numpy as np

from src.audio.rooms import Rooms
from src.core.errors import UserError
from src.data.loading.batch_order import shared
from src.data.loading.mixture_recipe import FreshMixtures, check_options, distinct
from src.data.loading.speaker_tapes import Tapes

__all__ = ["DynamicLoader", "distinct"]


class DynamicLoader(FreshMixtures):
    """Batches of fresh mixtures: mixture [B, T], sources [B, C, T], lengths int32 [B] (always T).

    Mixture i of an epoch is the same for any number of workers, ranks and any batch size; the ranks' steps together
    are those of one process with ``world`` times the batch.

    Args:
        config (src.training.config.TrainConfig): of train.py; ``train_dir`` holds single voices.
        rank (int), world (int): this process among all.
    Raises:
        UserError: records or options that do not fit.
    """

    def __init__(self, config, rank=0, world=1):
        check_options(config)
        voices = Tapes(config.train_dir, config.sample_rate, config.num_spks)
        noises = Tapes(config.noise_dir, config.sample_rate, task="noise") if config.noise_dir else None
        rooms = Rooms(config.rir_dir, config.sample_rate) if config.rir_dir else None
        super().__init__(config, voices, noises, rooms)
        self.rank, self.world = rank, world
        self.workers = min(config.num_workers, os.cpu_count())  # MindSpore refuses more
        self.failure = None

    def __len__(self):
        """Steps per epoch."""
        return -(-self.mixtures // (self.config.batch_size * self.world))

    def epoch(self, epoch, start=0):
        """Yield the batches of one epoch as numpy arrays, from step ``start`` on."""
        config = self.config
        indices = shared(np.arange(self.mixtures), config.batch_size, self.rank, self.world)
        indices = indices[start * config.batch_size :]
        if not indices.size:
            return
        self.failure = None

        # MindSpore turns every error into a RuntimeError of many lines
        def raw():
            try:
                yield from self.recorded(epoch, indices)
            except UserError as error:
                self.failure = error
                raise

        def mixed(index, pcm, cuts, levels):
            try:
                return self.mix((config.seed, epoch, int(index) + 1), pcm, cuts, levels)
            except UserError as error:
                self.failure = error
                raise

        columns = ["index", "pcm", "cuts", "levels"]
        pipeline = ds.GeneratorDataset(raw, columns, shuffle=False, num_parallel_workers=1,
                                       python_multiprocessing=False)
        pipeline = pipeline.map(mixed, columns, ["mixture", "sources", "lengths"], num_parallel_workers=self.workers)
        pipeline = pipeline.batch(config.batch_size, drop_remainder=True)
        try:
            yield from pipeline.create_tuple_iterator(num_epochs=1, output_numpy=True)
        except RuntimeError:
            if self.failure is None:
                raise
            raise self.failure from None

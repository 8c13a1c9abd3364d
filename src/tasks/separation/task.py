"""What the trainer asks of the task separation; see src/tasks/registry.py."""

import dataclasses

from src.data.loading.dynamic_mixing import DynamicLoader
from src.data.loading.mixtures import Records, TrainLoader
from src.network.registry import model_part
from src.tasks.registry import Score
from src.tasks.separation.loss import PITLoss, UnlearntLoss
from src.tasks.separation.validation import Validator

SCORE = Score("SI-SNRi", "dB")


def loader(config, world):
    """Batches (mixture [B, T], sources [B, C, T], lengths [B]): crops of stored mixtures, or fresh ones; one for each
    optimizer step."""
    rows = config.batch_size * config.accumulate
    if config.dynamic_mixing:
        return DynamicLoader(dataclasses.replace(config, batch_size=rows), world.rank, world.size)
    records = Records(config.train_dir, config.sample_rate, config.num_spks)
    segment = round(config.segment * config.sample_rate)
    return TrainLoader(records, segment, rows, config.seed, config.num_workers, world.rank, world.size)


def criterion(config):
    """Negative SI-SNR under the best permutation, dB."""
    return PITLoss(config.num_spks)


def selective_criterion(config):
    """The same, without the utterances below ``loss_threshold``."""
    return UnlearntLoss(config.num_spks, config.loss_threshold)


def validator(config, world):
    """Mean loss and SI-SNRi of whole utterances of ``valid_dir``; None where it is empty."""
    if not config.valid_dir:
        return None
    records = Records(config.valid_dir, config.sample_rate, config.num_spks)
    return Validator(model_part(config), records, round(config.cv_maxlen * config.sample_rate), world)

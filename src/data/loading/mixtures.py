"""From record folders to batches: random crops for training, whole utterances for validation and evaluation.

Nothing is held in memory but the order of the rows: MindDataset reads the records as they are asked for.
"""

import os
from collections import namedtuple

import mindspore.dataset as ds
import numpy as np

from src.audio.files import from_pcm16
from src.core.errors import UserError
from src.data.loading.batch_order import epoch_order
from src.data.records.manifest import load_manifest, shard_paths

Utterance = namedtuple("Utterance", "id mixture sources")  # str, float32 [T], float32 [C, T]


class Records:
    """A finished record folder that fits a model.

    Args:
        folder: what preprocess.py wrote for one subset.
        sample_rate (int), num_spks (int): what the model needs; None accepts any.
    Raises:
        UserError: not a finished folder, damaged, or of another rate or number of speakers.
    """

    def __init__(self, folder, sample_rate=None, num_spks=None):
        self._open(folder, None)
        self.num_spks = self.manifest.num_spks
        self._check("sample_rate", sample_rate, " Hz")
        self._check("num_spks", num_spks)

    def _open(self, folder, task):
        """Find the shards; ``task`` is the one single recordings must be of, None stands for mixtures."""
        self.folder = folder
        self.manifest = load_manifest(folder)
        self.files = [str(path) for path in shard_paths(folder, self.manifest)]
        self.rows = self.manifest.rows
        found = self.manifest.task if self.manifest.speakers else None
        if found != task:
            held, wanted = (f"single recordings ({name})" if name else "mixtures" for name in (found, task))
            raise UserError(f"{folder}: holds {held}, {wanted} are needed here; see preprocess.py --task, "
                            "and train.py --dynamic_mixing")

    def _check(self, name, wanted, unit=""):
        found = getattr(self.manifest, name)
        if wanted is not None and found != wanted:
            raise UserError(f"{self.folder}: records have {name} {found}{unit}, the model {wanted}{unit}; "
                            f"preprocess again or set --{name} {found}")

    def read(self, order, columns):
        """Yield the named columns of rows ``order``, one row at a time, as a dict of numpy values."""
        order, columns = [int(i) for i in order], list(columns)
        yield from self.guard(lambda **how: self.pipeline(order, columns).create_dict_iterator(**how))

    def pipeline(self, order, columns):
        """A MindDataset of the rows ``order`` (list of int, repeats allowed), in that order."""
        # a sampler takes at most as many numbers as there are rows
        parts = [order[i : i + self.rows] for i in range(0, len(order), self.rows)]
        whole = None
        for part in parts:
            one = ds.MindDataset(self.files, columns_list=columns, sampler=ds.SubsetSampler(part),
                                 num_parallel_workers=1)
            whole = one if whole is None else whole + one
        return whole

    def guard(self, create_iterator):
        """Items of one pass; a shard that cannot be read becomes a :class:`UserError`."""
        try:
            yield from create_iterator(num_epochs=1, output_numpy=True)
        except RuntimeError as error:
            lines = [line for line in str(error).splitlines() if line.startswith("[ERROR]")] or [str(error)]
            reason = " ".join(lines[0].removeprefix("[ERROR]").split())
            raise UserError(f"{self.folder}: a record shard cannot be read, truncated or corrupt; "
                            f"preprocess it again ({reason[:160]})") from None


class TrainLoader:
    """Batches of random crops: mixture [B, T], sources [B, C, T], lengths int32 [B].

    Short utterances are padded with zeros and their true length given; where a crop starts depends on (seed,
    epoch, row) alone.

    Args:
        records (Records): the corpus.
        segment (int): crop length T, samples.
        workers (int): decoding threads.
    """

    def __init__(self, records, segment, batch_size, seed, workers=2, rank=0, world=1):
        self.records, self.segment, self.batch_size = records, segment, batch_size
        self.seed, self.rank, self.world = seed, rank, world
        self.workers = min(workers, os.cpu_count())  # MindSpore refuses more

    def describe(self):
        """What an epoch is, in words."""
        return f"{self.records.rows} mixtures ({self.records.manifest.hours:.2f} h)"

    def __len__(self):
        """Steps per epoch."""
        return -(-self.records.rows // (self.batch_size * self.world))

    def epoch(self, epoch, start=0):
        """Yield the batches of one epoch as numpy arrays, from step ``start`` on."""
        order = epoch_order(self.records.rows, self.batch_size, self.seed, epoch, self.rank, self.world)
        order = order[start * self.batch_size :]
        if not order.size:
            return
        stored = ["index", "length", "mixture", "sources"]
        pipeline = self.records.pipeline(order.tolist(), stored)
        speakers, segment, seed = self.records.num_spks, self.segment, self.seed

        def crop(index, length, mixture, sources):
            return crop_row(int(index), int(length), mixture, sources, speakers, segment, (seed, epoch))

        pipeline = pipeline.map(crop, stored, ["mixture", "sources", "lengths"], num_parallel_workers=self.workers)
        pipeline = pipeline.batch(self.batch_size, drop_remainder=True)
        yield from self.records.guard(pipeline.create_tuple_iterator)


def crop_row(index, length, mixture, sources, speakers, segment, key):
    """One stored row as float32 mixture [segment], sources [C, segment] and its valid length."""
    start = 0
    if length > segment:
        start = int(np.random.default_rng((*key, index)).integers(length - segment + 1))
    kept = min(length, segment)
    signals = np.zeros((1 + speakers, segment), np.float32)
    signals[0, :kept] = from_pcm16(decode(mixture, 1, length)[0, start : start + kept])
    signals[1:, :kept] = from_pcm16(decode(sources, speakers, length)[:, start : start + kept])
    return signals[0], signals[1:], np.int32(kept)


def decode(column, channels, length):
    """A bytes column as int16 [channels, length]."""
    return np.frombuffer(column.tobytes(), "<i2").reshape(channels, length)


def utterances(records, order=None, max_samples=0):
    """Yield whole utterances (:class:`Utterance`) in the given row order, cut to ``max_samples`` if that is set."""
    order = range(records.rows) if order is None else order
    for row in records.read(order, ("id", "length", "mixture", "sources")):
        length = int(row["length"])
        signals = np.concatenate([decode(row["mixture"], 1, length), decode(row["sources"], records.num_spks, length)])
        signals = from_pcm16(signals[:, :max_samples] if max_samples else signals)
        yield Utterance(str(row["id"]), signals[0], signals[1:])

"""From records to batches: nothing dropped, nothing invented, the same for any number of ranks."""

import numpy as np
import pytest

from src.core.errors import UserError
from src.data.loading.mixtures import Records, TrainLoader, epoch_order, utterances
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from tests.helpers.synth import write_subset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    write_subset(root / "corpus" / "train", 13, lengths=(500, 3000))
    preprocess(PreprocessConfig(in_dir=str(root / "corpus"), out_dir=str(root / "data"), shard_rows=5))
    return root / "data" / "train"


def test_order_covers_every_row_and_ranks_share_steps():
    for rows, batch, world in ((13, 4, 1), (13, 2, 2), (3, 4, 2), (16, 4, 1)):
        one = epoch_order(rows, batch * world, seed=5, epoch=2).reshape(-1, batch * world)
        ranks = [epoch_order(rows, batch, 5, 2, rank, world).reshape(-1, batch) for rank in range(world)]
        assert set(one.ravel()) == set(range(rows))
        assert np.array_equal(np.concatenate(ranks, 1), one)
    assert not np.array_equal(epoch_order(13, 4, 5, 2), epoch_order(13, 4, 5, 3))
    assert not np.array_equal(epoch_order(13, 4, 5, 2), epoch_order(13, 4, 6, 2))


def test_a_small_last_shard_is_read_with_the_others(tmp_path):
    write_subset(tmp_path / "corpus" / "train", 5, lengths=(20000, 30000))
    preprocess(PreprocessConfig(in_dir=str(tmp_path / "corpus"), out_dir=str(tmp_path / "data"), shard_rows=4))
    records = Records(tmp_path / "data" / "train")
    assert [shard["rows"] for shard in records.manifest.shards] == [4, 1]
    assert len({item.id for item in utterances(records)}) == 5


def test_batches_are_crops_of_the_utterances(folder):
    records = Records(folder, 8000, 2)
    whole = list(utterances(records))
    loader = TrainLoader(records, 1000, 4, seed=1)
    seen = set()
    for mixture, sources, lengths in loader.epoch(0):
        assert mixture.shape == (4, 1000) and sources.shape == (4, 2, 1000) and lengths.dtype == np.int32
        for m, s, n in zip(mixture, sources, lengths):
            assert not m[n:].any() and not s[:, n:].any()
            where = [(i, start) for i, u in enumerate(whole) for start in range(len(u.mixture) - n + 1)
                     if u.mixture[start] == m[0] and np.array_equal(u.mixture[start : start + n], m[:n])]
            assert len(where) == 1, "a crop of exactly one utterance"
            row, start = where[0]
            assert n == min(1000, len(whole[row].mixture))
            assert np.array_equal(whole[row].sources[:, start : start + n], s[:, :n])
            seen.add(row)
    assert seen == set(range(13)), "no utterance is dropped"


def test_epochs_differ_and_repeat_exactly(folder):
    def epoch(number, start=0, **options):
        loader = TrainLoader(Records(folder), 1000, 4, seed=1, **options)
        return [m for m, _, _ in loader.epoch(number, start)]

    first = epoch(0)
    assert len(first) == 4
    assert all(np.array_equal(a, b) for a, b in zip(first, epoch(0, workers=4)))
    assert all(np.array_equal(a, b) for a, b in zip(first[2:], epoch(0, start=2)))
    assert len(epoch(0, start=4)) == 0
    assert not np.array_equal(np.sort(first[0][:, 0]), np.sort(epoch(1)[0][:, 0]))
    ranks = [TrainLoader(Records(folder), 1000, 2, 1, rank=r, world=2).epoch(0) for r in range(2)]
    for both, (a, b) in zip(first, zip(*ranks)):
        assert np.array_equal(both, np.concatenate([a[0], b[0]]))


def test_batch_larger_than_the_corpus(folder):
    loader = TrainLoader(Records(folder), 200, 40, seed=1)
    (mixture, _, _), = loader.epoch(0)
    assert mixture.shape == (40, 200)


def test_records_that_do_not_fit_the_model(folder):
    with pytest.raises(UserError, match="sample_rate 8000 Hz, the model 16000"):
        Records(folder, 16000)
    with pytest.raises(UserError, match="num_spks 2, the model 3"):
        Records(folder, 8000, 3)


def test_garbage_inside_a_shard_is_an_error_not_data(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shard = sorted(copy.glob("*.mindrecord"))[0]
    with open(shard, "r+b") as file:  # same size, so only reading can tell
        file.write(b"\xff" * shard.stat().st_size)
    with pytest.raises(UserError, match="cannot be read"):
        list(utterances(Records(copy)))

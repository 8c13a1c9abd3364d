"""Which rows make up which batch, for any number of processes."""

import numpy as np


def epoch_order(rows, batch_size, seed, epoch, rank=0, world=1):
    """The rows of one epoch for one rank, shuffled by (seed, epoch).

    Every row appears; the last batch is filled up from the front. Step i of all ranks together is the same set of
    rows as step i of one process with ``world`` times the batch.
    """
    return shared(np.random.default_rng((seed, epoch)).permutation(rows), batch_size, rank, world)


def shared(order, batch_size, rank, world):
    """One rank's part of an epoch's ``order``, filled up from the front to whole steps."""
    step = batch_size * world
    order = np.resize(order, -(-len(order) // step) * step)
    return order.reshape(-1, world, batch_size)[:, rank].reshape(-1)

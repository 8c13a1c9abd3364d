"""Less memory in training for more time."""

from src.core.errors import UserError
from src.network.layers.rnn import Recomputed


def recompute(network, count):
    """Let the RNNs of ``count`` dual-path blocks run again for the gradient instead of keeping what it needs of them,
    which is most of what a step keeps (Chen et al. 2016, arXiv 1604.06174).

    Raises:
        UserError: the network has fewer.
    """
    blocks = list(network.separator.blocks)
    if count > len(blocks):
        raise UserError(f"--recompute {count}: the network has {len(blocks)} blocks (num_layers)")
    for block in blocks[:count]:
        for rnn in (block.intra_rnn, block.inter_rnn):
            rnn.run = Recomputed(rnn.run)

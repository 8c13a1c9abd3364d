"""Half-overlapped splitting along time and its overlap-add, for the filterbank's frames and the DPRNN's chunks.

Everything is channel-last, so a chunk is a contiguous slice of memory, and everything is concat, reshape and
slices, which graph mode, MINDIR and every device understand for known and unknown lengths alike.
"""

from mindspore import ops


def split(x, size, count):
    """Cut ``x`` into ``count`` windows of ``size`` with hop ``size // 2``.

    Args:
        x (Tensor): [B, T, N] with ``T == span(size, count)``.
    Returns:
        Tensor: [B, count, size, N]; window i is ``x[:, i * hop : i * hop + size]``.
    """
    hop = size // 2
    batch, _, channels = x.shape
    blocks = count + 1
    first = ops.reshape(x[:, : blocks * hop], (batch, blocks, hop, channels))
    parts = (first[:, :-1], first[:, 1:])
    if size % 2:  # an odd window reaches one sample into the next block
        ends = ops.reshape(x[:, 2 * hop :], (batch, count, hop, channels))
        parts = parts + (ends[:, :, :1],)
    return ops.concat(parts, 2)


def overlap_add(windows, size):
    """Sum windows back onto the time axis: the transpose (adjoint) of :func:`split`.

    Args:
        windows (Tensor): [B, count, size, N].
    Returns:
        Tensor: [B, span(size, count), N].
    """
    hop = size // 2
    batch, count, _, channels = windows.shape
    zeros = ops.zeros((batch, 1, hop, channels), windows.dtype)
    out = ops.concat((windows[:, :, :hop], zeros), 1) + ops.concat((zeros, windows[:, :, hop : 2 * hop]), 1)
    out = ops.reshape(out, (batch, (count + 1) * hop, channels))
    if size % 2:
        # last sample of window i lands on sample (i + 2) * hop, the first one of a block
        ends = windows[:, :, 2 * hop :]
        if hop > 1:
            ends = ops.concat((ends, ops.zeros((batch, count, hop - 1, channels), windows.dtype)), 2)
        ends = ops.reshape(ends, (batch, count * hop, channels))
        head = ops.zeros((batch, 2 * hop, channels), windows.dtype)
        out = ops.concat((out, ops.zeros((batch, hop, channels), windows.dtype)), 1) + ops.concat((head, ends), 1)
    return out


def span(size, count):
    """Samples that :func:`split` reads and :func:`overlap_add` writes for ``count`` windows.

    For an odd ``size`` whole hops are kept, up to ``hop - 1`` samples more than the windows cover.
    """
    hop = size // 2
    return (count + 1) * hop + (hop if size % 2 else 0)


def pad_time(x, left, right):
    """Zeros before and after along time: [B, T, N] -> [B, left + T + right, N]."""
    batch, _, channels = x.shape
    return ops.concat(
        (ops.zeros((batch, left, channels), x.dtype), x, ops.zeros((batch, right, channels), x.dtype)), 1
    )

"""Lengths along time, without MindSpore."""


def padding(taps, dilation, causal):
    """Zeros (before, after) with which a convolution keeps the length; an odd one out comes after."""
    reach = (taps - 1) * dilation
    return (reach, 0) if causal else (reach // 2, reach - reach // 2)

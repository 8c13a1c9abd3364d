"""How far a mean over utterances can be trusted."""

from collections import namedtuple

import numpy as np

LEVEL = 0.95

Mean = namedtuple("Mean", "value half count")  # half: of the interval's width, None for fewer than two values


def mean(values):
    """Mean of the values that are not NaN, with its 95 % confidence interval, value +- half (Student's t).

    The interval takes utterances as independent; those of one speaker are less so.

    Returns:
        Mean: its ``value`` is None where there are no values.
    """
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        return Mean(None, None, 0)
    if values.size == 1:
        return Mean(float(values[0]), None, 1)
    from scipy.stats import t  # slow to import

    error = values.std(ddof=1) / np.sqrt(values.size)
    return Mean(float(values.mean()), float(t.ppf((1 + LEVEL) / 2, values.size - 1) * error), int(values.size))


def interval(found):
    """[low, high] of a :class:`Mean`, or None."""
    return None if found.half is None else [found.value - found.half, found.value + found.half]


def words(found, digits=2):
    """A :class:`Mean` as text: 2.12 ± 0.54."""
    if found.value is None:
        return "no score"
    half = "" if found.half is None else f" ± {found.half:.{digits}f}"
    return f"{found.value:.{digits}f}{half}"

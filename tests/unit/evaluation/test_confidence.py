"""Means and their intervals, against scipy and by what an interval promises."""

import numpy as np
import pytest
from scipy import stats

from src.evaluation import confidence


@pytest.mark.parametrize("count", [2, 5, 40])
def test_interval_is_students(count):
    values = np.random.default_rng(count).normal(3, 2, count)
    found = confidence.mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.value == pytest.approx(values.mean()) and found.count == count
    assert confidence.interval(found) == pytest.approx([expected.low, expected.high])


def test_values_that_are_missing_are_left_out():
    assert confidence.mean([1.0, np.nan, 3.0]) == confidence.mean([1.0, 3.0])
    one, none = confidence.mean([2.5, np.nan]), confidence.mean([np.nan])
    assert one == (2.5, None, 1) and none == (None, None, 0)
    assert confidence.interval(one) is None and confidence.interval(none) is None
    words = [confidence.words(found) for found in (confidence.mean([1.0, 3.0]), one, none)]
    assert words == ["2.00 ± 12.71", "2.50", "no score"]


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [confidence.interval(confidence.mean(rng.normal(1.0, 3.0, 8))) for _ in range(2000)]
    covered = np.mean([low < 1.0 < high for low, high in intervals])
    assert 0.935 < covered < 0.965

"""Windows through the network: several at the same time, in order, and not too many in memory."""

import threading
import time

import pytest

from src.separation.windows_at_once import estimate_all


class Slow:
    """Takes longer for the first windows than for later ones, and counts how many there are at a time."""

    def __init__(self):
        self.now = self.most = 0
        self.lanes, self.lock = [], threading.Lock()

    def __call__(self, samples, lane):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.lanes.append(lane)
        time.sleep(0.03 / (1 + samples))
        with self.lock:
            self.now -= 1
        return -samples


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_all_of_them_in_order(count, lanes):
    work = Slow()
    found = list(estimate_all(work, ((10 * i, i) for i in range(count)), lanes))
    assert found == [((10 * i, i), -i) for i in range(count)]
    assert work.most == min(lanes, count)
    assert work.lanes == [lanes > 1 and count > 1] * count, "a window alone has all cores"


def test_so_many_are_read_ahead_and_no_more():
    read = []

    def windows():
        for i in range(20):
            read.append(i)
            yield 0, i

    for (_, i), _ in estimate_all(Slow(), windows(), 2):
        assert len(read) <= i + 3
    read.clear()
    for (_, i), _ in estimate_all(Slow(), windows(), 1):
        assert len(read) == i + 1, "with one lane each is run before the next one is waited for"


def test_an_error_comes_where_its_window_is_and_ends_the_rest():
    begun = []

    def fails(samples, lane):
        begun.append(samples)
        if samples == 2:
            raise ValueError("window 2")
        return samples

    found = []
    with pytest.raises(ValueError, match="window 2"):
        for _, value in estimate_all(fails, ((0, i) for i in range(50)), 2):
            found.append(value)
    assert found == [0, 1] and max(begun) < 6
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]

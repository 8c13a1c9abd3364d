"""Windows of a long recording through the network, several at the same time, their order kept."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice


def estimate_all(estimate, windows, lanes):
    """Yields (window, estimate of it) for each window, in order.

    So many windows as there are lanes are run at the same time, and one more waits for its turn; more are not held in
    memory. A recording of one window has all cores for it.

    Args:
        estimate: called with samples and ``lane``, whether others run at the same time.
        windows: iterator of (start, samples, ...).
        lanes (int): 1 takes the next window only after the estimate of the one before was given.
    """
    first = list(islice(windows, lanes))
    if lanes == 1 or len(first) == 1:
        for window in chain(first, windows):
            yield window, estimate(window[1], lane=False)
        return
    pool, begun = ThreadPoolExecutor(lanes), deque()
    try:
        for window in chain(first, windows):
            begun.append((window, pool.submit(estimate, window[1], lane=True)))
            if len(begun) > lanes:
                window, found = begun.popleft()
                yield window, found.result()
        for window, found in begun:
            yield window, found.result()
    finally:
        pool.shutdown(cancel_futures=True)

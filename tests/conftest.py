"""Graph mode on CPU for every test that uses MindSpore."""

import os
import signal
import tempfile

import pytest

os.environ.setdefault("GLOG_v", "3")


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # of a job in the background, and so of what tests start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    from src.core.device import setup

    setup("CPU")


@pytest.fixture(scope="session", autouse=True)
def graphs_of_tests():
    """What the cache of ONNX graphs holds when a test runs, in this process and those it starts, is of tests alone."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("DPRNN_CACHE_DIR")
        os.environ["DPRNN_CACHE_DIR"] = folder
        yield folder
        if before is None:
            del os.environ["DPRNN_CACHE_DIR"]
        else:
            os.environ["DPRNN_CACHE_DIR"] = before

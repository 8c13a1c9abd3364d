"""Graph mode on CPU for every test that uses MindSpore."""

import os

os.environ.setdefault("GLOG_v", "3")


def pytest_configure(config):
    from src.device import setup

    setup("CPU")

"""DPRNN-TasNet speech separation for MindSpore."""

__version__ = "0.1.0"

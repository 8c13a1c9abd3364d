"""Tracks on the disk between two passes: the gain of a recording is known only at its end."""

import os
import tempfile
from pathlib import Path

import numpy as np

from src.core.errors import disk_errors

BLOCK = 1 << 16  # samples of a track read at a time


class TrackStore:
    """Tracks float32 [C, t], appended and then read again from the start; a context manager. The file has no name and
    is gone with the process, however that ends.

    Args:
        folder: where it lies; must exist.
        tracks (int): C.
    """

    def __init__(self, folder, tracks):
        self.tracks, self._folder = tracks, Path(folder)
        with disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)

    def write(self, tracks):
        with disk_errors(f"{self._folder}: cannot keep the tracks there"):
            self._file.write(np.ascontiguousarray(tracks.T, np.float32).tobytes())

    def read(self):
        """Yields float32 [C, t], from the start."""
        with disk_errors(f"{self._folder}: cannot keep the tracks there"):
            self._file.seek(0, os.SEEK_SET)  # writes what is still in the buffer
        while data := self._file.read(4 * self.tracks * BLOCK):
            yield np.frombuffer(data, np.float32).reshape(-1, self.tracks).T

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._file.close()
        except OSError:  # a full disk: what it could not take is not wanted any more
            pass

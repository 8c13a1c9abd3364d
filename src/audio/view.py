"""A part of a file as if it were a file of its own, with some bytes of its header put right."""

import os


class View:
    """The bytes from ``start`` to ``end`` of a file, for ``soundfile.SoundFile``: seek, tell, readinto.

    Args:
        path: of the file.
        start, end (int): offsets in it.
        patches: pairs (offset in the file, bytes) that are read in place of what is there.
        hole (int): bytes by which it claims to be longer than it is. Reading ends at the true end all the same. It
            makes libmpg123's guess of an MP3's length, which ends the reading, too large instead of too small.
    """

    def __init__(self, path, start, end, patches=(), hole=0):
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._start, self._size, self._hole = start, end - start, hole
        self._patches = [(offset - start, data) for offset, data in patches]
        self._at = 0

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size + self._hole}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self):
        return self._at

    def readinto(self, buffer):
        if self._hole and self._at >= self._size + self._hole // 2:  # a look at the last bytes, for a tag
            data = bytes(len(buffer))
        else:
            data = os.pread(self._file, max(0, min(len(buffer), self._size - self._at)), self._start + self._at)
            data = self._patched(data)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _patched(self, data):
        for offset, new in self._patches:
            first, last = max(offset, self._at), min(offset + len(new), self._at + len(data))
            if first < last:
                data = (data[: first - self._at] + new[first - offset : last - offset] + data[last - self._at :])
        return data

    def close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None

"""Recordings of any length, read and written block by block (through libsndfile): the streamed half of files.py."""

import contextlib
import os
from pathlib import Path

import numpy as np
import soundfile

from src.audio.files import to_pcm16
from src.audio.formats import OUTPUTS
from src.audio.reader import AudioError, Reader
from src.core.errors import UserError
from src.core.files import make_folder, rename, temporary_name

BLOCK = 1 << 16  # samples
WAV_BYTES = 4_000_000_000  # a wav has 32 bits for its size; RF64 is the same for longer ones


class Recording:
    """A file of any format and length, opened for reading once; a context manager.

    Attributes:
        sample_rate (int): Hz.
        channels (int)
        frames (int): samples of a channel; None where only the end will tell.
        replaced (int): NaN or infinite samples so far, given as silence; ``first_replaced`` is the number of the first.
    Raises:
        AudioError: missing, unreadable, truncated as far as the header tells, empty.
    """

    def __init__(self, path):
        self.path, self.replaced, self.first_replaced = Path(path), 0, None
        self._reader = Reader(path, decode=True)
        self.sample_rate, self.channels = self._reader.sample_rate, self._reader.channels
        self.frames = self._reader.frames
        if self._reader.problem or self.frames == 0:
            self.close()
        if self._reader.problem:
            raise AudioError("unreadable", f"{path}: {self._reader.problem}")
        if self.frames == 0:
            raise AudioError("empty", f"{path}: holds no samples")

    def blocks(self):
        """Yields float32 [channels, t] from the first sample to the last.

        Raises:
            AudioError: truncated or damaged, which only reading shows.
        """
        while len(block := self._reader.read(BLOCK)):
            yield self._clean(block, self._reader.done - len(block)).T
        if not self._reader.done:
            raise AudioError("empty", f"{self.path}: holds no samples")

    def notes(self):
        """What a user should know of what was read, as texts."""
        yield from self._reader.notes
        if self._reader.joined > 1:
            yield f"{self._reader.joined} recordings joined in one file, read one after the other"
        if self._reader.lost:
            yield f"damaged: {self._reader.lost / self.sample_rate:.1f} s of it cannot be read and are left out"
        if self.replaced:
            yield (f"{self.replaced} NaN or infinite samples, the first at {self.first_replaced}, taken as silence")

    def close(self):
        self._reader.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _clean(self, block, done):
        """Samples [t, channels], the first of them number ``done``, with silence for what is no number."""
        good = np.isfinite(block)
        if not good.all():
            if self.first_replaced is None:
                self.first_replaced = done + int(np.flatnonzero(~good.all(1))[0])
            self.replaced += int(np.count_nonzero(~good))
            block = np.where(good, block, np.float32(0))
        return block


def check_format(audio_format, rate):
    """Raise :class:`UserError` if an output format does not take a sample rate."""
    rates = OUTPUTS[audio_format].rates
    if rates is not None and rate not in rates:
        raise UserError(f"{audio_format} does not take a sample rate of {rate} Hz; wav does (--output_format wav)")


class Writer:
    """Tracks to audio files: under temporary names until :meth:`commit` gives all of them theirs; a context manager.

    Args:
        layout (dict): {path: rows}: how many rows of the tracks each file takes, in order.
        sample_rate (int): Hz.
        audio_format (str): a key of :data:`src.audio.formats.OUTPUTS`.
        frames (int): samples that will come.
    Raises:
        UserError: the folder cannot be written, the format does not take the rate.
    """

    def __init__(self, layout, sample_rate, audio_format, frames):
        check_format(audio_format, sample_rate)
        self._layout = [(Path(path), rows) for path, rows in layout.items()]
        self._files, self._frames, self._kind = [], frames, audio_format
        kind, subtype = OUTPUTS[audio_format].container, OUTPUTS[audio_format].subtype
        try:
            for path, rows in self._layout:
                make_folder(path.parent)
                form = "RF64" if kind == "WAV" and 2 * rows * frames > WAV_BYTES else kind
                with self._faults(path):
                    self._files.append(soundfile.SoundFile(os.fsencode(temporary_name(path)), "w", sample_rate, rows,
                                                           subtype, format=form))
        except BaseException as error:
            self._remove()
            if isinstance(error, OSError):
                raise UserError(f"{self._layout[0][0]}: cannot write: {error.strerror or error}") from None
            raise

    def write(self, tracks):
        """Tracks float32 [C, t] within full scale."""
        first = 0
        for file, (path, rows) in zip(self._files, self._layout):
            part = tracks[first : first + rows].T
            with self._faults(path):
                for start in range(0, len(part), BLOCK):  # encoders keep what one call brings on the stack
                    piece = part[start : start + BLOCK]
                    file.write(to_pcm16(piece) if file.subtype == "PCM_16" else piece)
            first += rows

    def commit(self, durable=True):
        """Every file is whole: give them their names; ``durable`` as of :func:`src.core.files.replacing`."""
        for file, (path, _) in zip(self._files, self._layout):
            with self._faults(path):
                file.close()
                found = soundfile.info(os.fsencode(temporary_name(path))).frames
            if found < self._frames:  # libsndfile says nothing of a disk that fills up as it closes
                raise UserError(f"{path}: cannot write: {found} of {self._frames} samples reached the disk")
        with self._faults(self._layout[0][0]):
            rename({temporary_name(path): path for path, _ in self._layout}, durable)
        self._files = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._files:
            self._remove()

    @contextlib.contextmanager
    def _faults(self, path):
        try:
            yield
        except (OSError, soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts that all was written
            why = getattr(error, "strerror", None) or getattr(error, "error_string", str(error)).strip()
            raise UserError(f"{path}: cannot write: {why or 'the disk takes no more'}") from None

    def _remove(self):
        for file in self._files:
            with contextlib.suppress(soundfile.LibsndfileError):
                file.close()
        for path, _ in self._layout:
            with contextlib.suppress(OSError):  # its folder may be a file
                temporary_name(path).unlink()

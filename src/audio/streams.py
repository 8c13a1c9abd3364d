"""Recordings of any length, read and written block by block (through libsndfile): the streamed half of files.py."""

import contextlib
import os
from pathlib import Path

import numpy as np
import soundfile

from src.audio import ffmpeg as media
from src.audio.files import STREAMED_BYTES, AudioError, cut_short, reason_of, to_pcm16
from src.core.errors import UserError
from src.core.files import make_folder, rename, temporary_name

BLOCK = 1 << 16  # samples
NATIVE = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
OTHERS = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mov", ".amr", ".3gp", ".ac3", ".avi")  # need ffmpeg
# name of an output format: libsndfile's format and subtype, bytes a sample at the most
FORMATS = {"wav": ("WAV", "PCM_16", 2), "flac": ("FLAC", "PCM_16", 3), "ogg": ("OGG", "VORBIS", 2),
           "mp3": ("MP3", "MPEG_LAYER_III", 2)}
# rates that an encoder takes, Hz; libsndfile's for ogg crashes beyond 200000
RATES = {"flac": range(655351), "ogg": range(200001),
         "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)}
MP3_SHARE = 0.9  # an mp3 with less than this of what it promises is cut: without an index its length is an estimate
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
        self.path, self.replaced, self.first_replaced, self._decoder = Path(path), 0, None, None
        if not self.path.is_file() or not os.access(path, os.R_OK) or self.path.stat().st_size == 0:
            raise AudioError("unreadable", f"{path}: {reason_of(path, '')}")
        try:
            self._file = soundfile.SoundFile(os.fsencode(path))
        except soundfile.LibsndfileError as error:
            self._file = self._decode(error)
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        known = self._decoder is None and self._file.frames < STREAMED_BYTES
        self.frames = self._file.frames if known else None
        if known and self._file.format in ("WAV", "WAVEX") and cut_short(path):
            self.close()
            raise AudioError("unreadable", f"{path}: truncated: its header promises more samples than are there")
        if self.frames == 0:
            self.close()
            raise AudioError("empty", f"{path}: holds no samples")

    def blocks(self):
        """Yields float32 [channels, t] from the first sample to the last.

        Raises:
            AudioError: truncated or damaged, which only reading shows.
        """
        done = 0
        while True:
            try:
                block = self._file.read(BLOCK, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError) as error:
                raise AudioError("unreadable", f"{self.path}: damaged after {done / self.sample_rate:.1f} s: "
                                               f"{reason_of(self.path, error)}") from None
            if not len(block):
                break
            yield self._clean(block, done).T
            done += len(block)
        problem = self._decoder.problem() if self._decoder else None
        if problem:
            raise AudioError("unreadable", f"{self.path}: ffmpeg cannot read it: {problem}")
        promised = (self.frames or 0) * (MP3_SHARE if self._file.format == "MP3" else 1)
        if done < promised:
            raise AudioError("unreadable", f"{self.path}: truncated: it promises {self.frames} samples, "
                                           f"{done} are there")
        if not done:
            raise AudioError("empty", f"{self.path}: holds no samples")

    def close(self):
        self._file.close()
        if self._decoder:
            self._decoder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _clean(self, block, done):
        """Samples [t, channels] with silence for what is no number."""
        good = np.isfinite(block)
        if not good.all():
            if self.first_replaced is None:
                self.first_replaced = done + int(np.flatnonzero(~good.all(1))[0])
            self.replaced += int(np.count_nonzero(~good))
            block = np.where(good, block, np.float32(0))
        return block

    def _decode(self, error):
        """The file by ffmpeg, after libsndfile failed with ``error``."""
        reason = f"{self.path}: {reason_of(self.path, error)}"
        if not media.available():
            if self.path.suffix.lower() not in NATIVE:
                reason = (f"{self.path}: libsndfile does not read this format, and there is no ffmpeg program on the "
                          "PATH that might; install it, or convert the file to wav")
            raise AudioError("unreadable", reason)
        self._decoder = media.Decoder(self.path)
        try:
            return soundfile.SoundFile(self._decoder.descriptor, closefd=False)
        except soundfile.LibsndfileError:
            problem = self._decoder.problem()
            self._decoder.close()
            if problem and self.path.suffix.lower() not in NATIVE:
                reason = f"{self.path}: ffmpeg cannot read it: {problem}"
            raise AudioError("unreadable", reason) from None


def check_format(audio_format, rate):
    """Raise :class:`UserError` if an output format does not take a sample rate."""
    if rate not in RATES.get(audio_format, (rate,)):
        raise UserError(f"{audio_format} does not take a sample rate of {rate} Hz; wav does (--output_format wav)")


class Writer:
    """Tracks to audio files: under temporary names until :meth:`commit` gives all of them theirs; a context manager.

    Args:
        layout (dict): {path: rows}: how many rows of the tracks each file takes, in order.
        sample_rate (int): Hz.
        audio_format (str): a key of ``FORMATS``.
        frames (int): samples that will come.
    Raises:
        UserError: the folder cannot be written, the format does not take the rate.
    """

    def __init__(self, layout, sample_rate, audio_format, frames):
        check_format(audio_format, sample_rate)
        self._layout = [(Path(path), rows) for path, rows in layout.items()]
        self._files, self._frames, self._kind = [], frames, audio_format
        kind, subtype, _ = FORMATS[audio_format]
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

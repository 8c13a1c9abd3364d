"""The samples of an audio file from the first to the last, whatever its header says of their number."""

import contextlib
import os
from pathlib import Path

import numpy as np
import soundfile

from src.audio import ffmpeg as media
from src.audio.formats import needs_ffmpeg
from src.audio.layout import is_whole, layout
from src.audio.quiet import c_stderr_silent
from src.audio.view import View
from src.core.errors import UserError

GROWTH = 1 << 18  # samples for which memory is taken at a time where their number is not known
STEP = 1 << 16  # samples that libsndfile is asked for at a time
FINE = 1024  # samples to which the place of damage is known
ENDLESS = 1 << 62  # libsndfile's word for a length that it does not know is near 2^63
MOST_SAMPLES = 8192  # of a byte: a constant FLAC has 6500; a header that promises more lies
MP3_SHARE = 0.9  # an mp3 with less than this of what its index promises is cut; with a bit less it is damaged
MP3_FRAMES = 2 * 1152  # samples by which an mp3's index may be wrong


class AudioError(UserError):
    """A file that cannot be used. ``reason`` is the category to count it under."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


class Stream(soundfile.SoundFile):
    """A file that is read forwards. soundfile seeks after each block of a seekable one: that fails in a FLAC of unknown
    length, and an MP3's next block begins without what its decoder remembers of the one before."""

    def seekable(self):
        return False


class Reader:
    """A file, or several recordings joined in one; a context manager.

    Args:
        path: of the file.
        decode (bool): what libsndfile cannot read is given to ffmpeg, where there is one.
        thorough (bool): look for joined FLACs, which takes reading all bytes of a FLAC.
    Attributes:
        sample_rate (int): Hz.
        channels (int)
        frames (int): samples of a channel; None where only the end will tell.
        problem (str): why it must not be used although it can be read, None: it may.
        notes (tuple): what should be said of it, as texts.
        joined (int): recordings in it.
        format, subtype (str): libsndfile's.
        done (int): samples read so far.
        lost (int): samples that were promised and are missing, few enough to go on.
    Raises:
        AudioError: not readable; joined of recordings with different sample rates or channels.
    """

    def __init__(self, path, decode=False, thorough=True):
        self.path, self.done, self.lost = Path(path), 0, 0
        self._decoder = self._view = self._file = None
        self._number = self._here = 0  # of the link that is being read, and samples of it read so far
        if not self.path.is_file() or not os.access(path, os.R_OK) or self.path.stat().st_size == 0:
            raise AudioError("unreadable", f"{path}: {reason_of(path, '')}")
        self._links, self.problem, self.notes = layout(path, thorough)
        try:
            self._promised = self._survey()
        except soundfile.LibsndfileError as error:
            self._decode(f"{path}: {reason_of(path, error)}", decode)
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels, self.joined = self._file.samplerate, self._file.channels, len(self._links)
        self.format, self.subtype = self._file.format, self._file.subtype
        self._mpeg = self.subtype.startswith("MPEG")
        self.frames = None if None in self._promised else sum(self._promised)

    def read(self, count, dtype="float32"):
        """At most ``count`` samples: [t, channels], with t = 0 after the last.

        Raises:
            AudioError: damaged or truncated, which only reading shows.
        """
        parts = []
        while count > 0:
            most = GROWTH if self.frames is None else max(1, self.frames - self.done)
            block = np.empty((min(count, most), self.channels), dtype)
            filled = self._fill(block)
            parts.append(block[:filled])
            count = count - filled if filled == len(block) else 0
        if not parts:
            return np.empty((0, self.channels), dtype)
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def skip(self, count):
        """Go on ``count`` samples later, or at the end."""
        if self._mpeg or self.format == "OGG" or self._decoder or self.joined > 1 or self._here:
            while count > 0 and len(part := self.read(min(count, GROWTH))):
                count -= len(part)
            return
        target = count if self.frames is None else min(count, self.frames)
        try:
            self._file.seek(target)
            self._here = self.done = target
        except soundfile.LibsndfileError:  # beyond an end that nobody knew
            self._number = self.joined

    def close(self):
        if self._file:
            self._file.close()
        if self._view:
            self._view.close()
        if self._decoder:
            self._decoder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _survey(self):
        """Open every link, the first one last: their samples, None where that is not known."""
        promised, kinds = [], set()
        for number in reversed(range(len(self._links))):
            self._open(number)
            link, frames = self._links[number], self._file.frames
            known = link.known and frames < ENDLESS
            if known and frames > MOST_SAMPLES * (link.end - link.start):
                raise AudioError("unreadable", f"{self.path}: truncated or damaged: its header promises {frames} "
                                               f"samples in {link.end - link.start} bytes")
            promised.append(frames if known else None)
            kinds.add((self._file.samplerate, self._file.channels))
        if len(kinds) > 1:
            found = ", ".join(f"{rate} Hz x {channels}" for rate, channels in sorted(kinds))
            raise AudioError("unreadable", f"{self.path}: {len(promised)} recordings joined in one file, with "
                                           f"different sample rates or channels ({found}); cut it into its parts")
        return promised[::-1]

    def _open(self, number):
        """Link ``number`` in place of the one that is open."""
        self.close()
        link = self._links[number]
        self._view = None if is_whole(link, self.path) else View(self.path, link.start, link.end, link.patches,
                                                                 link.hole)
        with c_stderr_silent():
            self._file = Stream(self._view or os.fsencode(self.path))

    def _decode(self, reason, wanted):
        """The file by ffmpeg, if that is ``wanted``, after libsndfile failed for ``reason``."""
        self.close()
        known = self.problem or (f"{len(self._links)} recordings joined in one file; cut it into its parts"
                                 if len(self._links) > 1 else None)
        if known:
            raise AudioError("unreadable", f"{self.path}: {known}") from None
        foreign = needs_ffmpeg(self.path)
        if not wanted or not media.available():
            if wanted and foreign:
                reason = (f"{self.path}: libsndfile does not read this format, and there is no ffmpeg program on the "
                          "PATH that might; install it, or convert the file to wav")
            raise AudioError("unreadable", reason) from None
        self._promised, self._view = [None], None
        self._decoder = media.Decoder(self.path)
        try:
            self._file = Stream(self._decoder.descriptor, closefd=False)
        except soundfile.LibsndfileError:
            problem = self._decoder.problem()
            self._decoder.close()
            if problem == media.NO_SOUND:
                reason = f"{self.path}: {problem}"
            elif problem and foreign:
                reason = f"{self.path}: ffmpeg cannot read it: {problem}"
            raise AudioError("unreadable", reason) from None

    def _fill(self, block):
        """Read the next samples into [t, channels]; returns how many, less than t at the end."""
        filled, dtype = 0, block.dtype.name
        while filled < len(block) and self._number < self.joined:
            promised = self._promised[self._number]
            wanted = min(STEP, len(block) - filled)
            wanted = wanted if promised is None else min(wanted, promised - self._here)
            got = self._read_into(block[filled : filled + wanted], dtype) if wanted else 0
            filled, self._here, self.done = filled + got, self._here + got, self.done + got
            if not got:
                self._check_end(promised)
                self._number, self._here = self._number + 1, 0
                if self._number < self.joined:
                    self._open(self._number)
        return filled

    def _read_into(self, part, dtype):
        try:
            with c_stderr_silent() if self._mpeg else contextlib.nullcontext():
                return self._file.buffer_read_into(part, dtype)
        except (soundfile.LibsndfileError, OSError) as error:
            raise AudioError("unreadable", f"{self.path}: damaged after {self._place() / self.sample_rate:.1f} s: "
                                           f"{reason_of(self.path, error)}") from None

    def _place(self):
        """Samples before the damage that has just been met: its link is read once more, in small steps."""
        if self._decoder:
            return self.done
        place, part = self.done - self._here, np.empty((FINE, self.channels), np.float32)
        with contextlib.suppress(soundfile.LibsndfileError, OSError), c_stderr_silent():
            self._open(self._number)
            while got := self._file.buffer_read_into(part, "float32"):
                place += got
        return place

    def _check_end(self, promised):
        """Whether a link that has just ended was whole."""
        if self._decoder:
            problem = self._decoder.problem()
            if problem:
                raise AudioError("unreadable", f"{self.path}: ffmpeg cannot read it: {problem}")
            complaints = self._decoder.complaints()
            if complaints:
                self.notes += (f"ffmpeg complained {len(complaints)} times: {complaints[0]}",)
        missing = 0 if promised is None else promised - self._here
        if self._mpeg and 0 < missing <= (1 - MP3_SHARE) * promised:
            self.lost += missing if missing > MP3_FRAMES else 0
        elif missing > 0:
            raise AudioError("unreadable", f"{self.path}: truncated: it promises {self.done + missing} samples, "
                                           f"{self.done} are there")


def reason_of(path, error):
    """Why a file cannot be read, in a few words."""
    path = Path(path)
    if not path.exists():
        return "no such file"
    if path.is_dir():
        return "is a folder, expected an audio file"
    if not path.is_file():
        return "is no file that can be read twice; give - for what comes through a pipe"
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    if not os.access(path, os.R_OK):
        return "permission denied"
    text = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return f"is not readable audio ({text})"

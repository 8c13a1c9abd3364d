"""separate.py's work: many recordings, some of which may be bad."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from src.audio.streams import Recording
from src.core.errors import UserError, disk_errors, first_names
from src.core.output import Binary
from src.core.progress import Progress, duration
from src.core.signals import raise_swallowed
from src.separation.input_files import find_sources
from src.separation.separate_file import output_paths, separate_file, to_stream

STREAM = "-"  # stands for stdin or stdout


class Batch:
    """Separates recordings one after another and keeps count.

    Args:
        separator (src.separation.separator.Separator)
        config (src.separation.config.SeparateConfig)
    """

    def __init__(self, separator, config):
        self.separator, self.config = separator, config
        self.channels = parse_channels(config.channel)
        self.done = self.skipped = 0  # recordings
        self.audio = self.wall = 0.0  # seconds
        self.failed = []  # names
        self._taken = {}  # output -> its source

    def run(self, words):
        """Separate everything that the words mean.

        Raises:
            UserError: nothing to do, or at the end if a recording failed.
        """
        sources, others = find_sources(words, self.config.out_dir)
        for source in sources:
            try:
                self._one(source)
            except UserError as error:
                if len(sources) == 1:
                    raise
                self.failed.append(source.path.name)
                print("failed: " + " ".join(str(error).split()), file=sys.stderr, flush=True)
        if len(sources) > 1 or self.skipped or others:
            print(f"{self.done} of {len(sources)} recordings separated ({duration(self.audio)} of audio in "
                  f"{duration(self.wall)}), {self.skipped} skipped: their outputs exist (--overwrite replaces them), "
                  f"{len(self.failed)} failed; {others} other files left alone")
        if self.failed:
            raise UserError(f"{len(self.failed)} of {len(sources)} recordings failed: {first_names(self.failed)}")

    def _one(self, source):
        """Separate one recording: each of the chosen channels."""
        wanted = self._outputs(source)
        paths = [path for group in wanted.values() for path in group]
        for path in paths:
            other = self._taken.setdefault(path, source.path)
            if other != source.path:
                raise UserError(f"{source.path}: its outputs would be those of {other}, such as {path.name}; "
                                "give it an --out_dir of its own")
        there = [path for path in paths if path.exists()]
        if there and not self.config.overwrite:
            if len(there) < len(paths):
                missing = next(path for path in paths if not path.exists())
                raise UserError(f"{there[0]}: exists, but {missing.name} does not; --overwrite makes all of them anew")
            self.skipped += 1
            return
        for channel, group in wanted.items():
            self._separate(source.path, channel, lambda progress, c=channel, g=group: separate_file(
                self.separator, source.path, g, c, self.config.output_format, progress))
        self.done += 1
        for path in paths:
            print(path, flush=True)

    def _outputs(self, source):
        """{channel: paths}."""
        names, speakers, suffix = self.channels, self.separator.num_spks, f".{self.config.output_format}"
        folder = Path(self.config.out_dir) / source.folder
        if names == ["each"]:
            with Recording(source.path) as recording:
                names = list(range(recording.channels))
        several = self.channels == ["each"] or len(names) > 1
        return {name: output_paths(source.path, folder, speakers, suffix, f"_ch{name}" if several else "")
                for name in names}

    def to_stdout(self, source, stream):
        """Separate one recording, ``-`` for what comes on stdin, to a wav on ``stream``."""
        if self.channels == ["each"] or len(self.channels) > 1:
            raise UserError("--channel: stdout takes one recording; choose one channel, or mean")
        with self._file_of(source) as path:
            self._separate(path, self.channels[0], lambda progress: to_stream(
                self.separator, path, stream, self.channels[0], progress))

    def from_stdin(self):
        """Separate what comes on stdin to the output folder."""
        with self._file_of(STREAM) as path:
            self.run([str(path)])

    @contextlib.contextmanager
    def _file_of(self, source):
        """A path of a source: what comes on stdin is kept on the disk while it is needed."""
        if source != STREAM:
            yield Path(source)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stdin"
            with disk_errors(folder), open(path, "wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            try:
                yield path
            except UserError as error:
                raise UserError(str(error).replace(str(path), "stdin")) from None

    def _separate(self, path, channel, work):
        """Run ``work(progress)`` with progress on the screen, and say how long it took."""
        name = path.name + ("" if channel == "mean" else f" channel {channel}")
        begun, shown = time.monotonic(), None

        def progress(done, total):
            raise_swallowed()
            nonlocal shown
            shown = shown or stack.enter_context(Progress(total and int(total), name, "s of audio"))
            for _ in range(int(done) - shown.done):
                shown.add(1)

        with contextlib.ExitStack() as stack:
            result = work(progress)
        wall, audio = time.monotonic() - begun, result.frames / result.sample_rate
        self.wall, self.audio = self.wall + wall, self.audio + audio
        print(f"{name}: {audio:.2f} s at {result.sample_rate} Hz, {result.channels} "
              f"channel{'s' if result.channels > 1 else ''}, separated in {wall:.2f} s, "
              f"real-time factor {wall / audio:.3f}", flush=True)
        for note in result.notes:
            print(f"{name}: {note}", flush=True)


def parse_channels(text):
    """``mean``, ``each``, or numbers with commas -> ["mean"], ["each"], [0, 2].

    Raises:
        UserError: anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if words in (["mean"], ["each"]):
        return words
    if not all(word.isdecimal() for word in words):
        raise UserError(f"--channel {text}: expected mean, each, or numbers from 0 such as 0 or 0,2")
    return sorted({int(word) for word in words})


@contextlib.contextmanager
def quiet_stdout():
    """A binary stream to stdout, which is ours alone meanwhile: what anybody else prints goes to stderr."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with Binary(own) as stream:
            yield stream
    finally:
        try:
            sys.stdout.flush()
        finally:
            os.dup2(own, 1)
            os.close(own)

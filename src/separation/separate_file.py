"""One recording to one file per speaker, in memory that does not grow with its length."""

import contextlib
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import numpy as np

from src.audio.formats import OUTPUTS
from src.audio.resampling import StreamResampler
from src.audio.streams import Recording, Writer, check_format
from src.core.errors import UserError, disk_errors
from src.core.files import make_folder
from src.separation.separator import Run, check_channel
from src.separation.track_store import TrackStore

Separated = namedtuple("Separated", "paths frames sample_rate channels notes")  # frames: samples; notes: texts to say


def output_paths(source, out_dir, speakers, suffix=".wav", label=""):
    """<out_dir>/<name><label>_s1.wav, ..."""
    return [Path(out_dir) / f"{Path(source).stem}{label}_s{c + 1}{suffix}" for c in range(speakers)]


def separate_file(separator, source, paths, channel="mean", audio_format="wav", progress=None, durable=True):
    """Separate one file of any format, rate, number of channels and length.

    The estimates wait on the disk, beside the outputs, for the gain that makes the sum of all of them fit the mixture.

    Args:
        separator (src.separation.separator.Separator)
        source: path.
        paths: one for each speaker, or a single one, which gets a channel for each speaker.
        channel: ``"mean"`` or the number of one.
        audio_format (str): wav, flac, ogg or mp3.
        progress: called with (seconds done, seconds in all or None) after each window.
        durable (bool): whether the outputs must survive a power cut; see :mod:`src.core.files`.
    Returns:
        Separated
    Raises:
        UserError: an input that cannot be used, outputs that cannot be written; nothing is left of them.
    """
    try:
        return _separate_file(separator, source, [Path(path) for path in paths], channel, audio_format, progress,
                              durable)
    except UserError as error:
        if str(source) in str(error):
            raise
        raise UserError(f"{source}: {error}") from None


def _separate_file(separator, source, paths, channel, audio_format, progress, durable):
    folder = paths[0].parent
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(Recording(source))
        rate, frames, speakers = recording.sample_rate, recording.frames, separator.num_spks
        check_channel(channel, recording.channels)
        check_format(audio_format, rate)  # before the work
        run = Run(separator, recording.blocks(), rate, channel)
        with disk_errors(folder):
            make_folder(folder)
        if frames:
            _check_room(folder, frames, rate, separator, audio_format)
        store = stack.enter_context(TrackStore(folder, speakers))
        peak = 0.0
        for tracks in run:
            store.write(tracks)
            peak = max(peak, float(np.abs(run.back(tracks)).max(initial=0)))
            if progress:
                progress(run.done / rate, frames and frames / rate)
        peak = max(peak, float(np.abs(run.rest()).max(initial=0)))
        gain = np.float32(run.fit.safe_gain(peak))
        back = StreamResampler(separator.sample_rate, rate, speakers)
        rows = {path: speakers // len(paths) for path in paths}
        with Writer(rows, rate, audio_format, run.frames) as writer:
            for tracks in store.read():
                writer.write(gain * back.push(tracks))
            writer.write(gain * back.finish(run.frames))
            writer.commit(durable)
        return Separated(paths, run.frames, rate, recording.channels, list(recording.notes()))


def to_stream(separator, source, stream, channel="mean", progress=None):
    """Separate a file to one wav on a binary stream, a channel for each speaker; see :func:`separate_file`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voices.wav"
        done = separate_file(separator, source, [path], channel, "wav", progress, durable=False)
        with open(path, "rb") as file:
            shutil.copyfileobj(file, stream)
        stream.flush()
    return done


def _check_room(folder, frames, rate, separator, audio_format):
    """Raise :class:`UserError` if the disk has no room for the outputs and what waits beside them."""
    waiting = 4 * frames * separator.sample_rate / rate
    needed = separator.num_spks * (OUTPUTS[audio_format].sample_bytes * frames + waiting)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{folder}: {needed / 1e6:.0f} MB are needed there while it runs, {free / 1e6:.0f} MB are free")

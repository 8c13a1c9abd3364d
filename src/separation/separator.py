"""Separation of recordings of any length, rate and number of channels: the package's Python interface.

    from src.separation.separator import Separator
    separator = Separator.load("model.ckpt")                    # or .onnx, .mindir
    voices = separator.separate(samples, 44100)                 # [T] or [channels, T] -> [C, T]
    for voices in separator.stream(blocks, 16000): ...          # [t] or [channels, t] -> [C, t']
"""

import threading

import numpy as np

from src.audio.resampling import StreamResampler
from src.core.errors import UserError
from src.network.registry import family_of
from src.separation.joiner import Joiner
from src.separation.level import MixtureFit, upright
from src.separation.speaker_order import SpeakerOrder
from src.separation.windows import WindowCutter
from src.separation.windows_at_once import estimate_all
from src.weights.trained_model import load_model

BLOCK = 1 << 16  # samples of an array that are handled at a time

# Networks are trained on speech of usual level: the small constants of their norms count where it is far away.
USUAL_PEAK = 2.0**-10, 2.0**4
# A mean beyond this share of the standard deviation, over so many seconds, is no voice but a fault of the recording.
OFFSET, OFFSET_SECONDS = 0.1, 0.5


class Separator:
    """A trained model for recordings of any length.

    Longer recordings are run in overlapping windows, whose speakers are put in order. One separator may be used by
    several threads: each call keeps its own state, and the network runs for as many at a time as the model has lanes.

    Attributes:
        sample_rate (int): at which the model works, Hz; other rates are resampled, and back.
        num_spks (int): C.
        config (ModelConfig): what the model is.
        name (str): for messages.
        runtime (str): what runs the model, onnx or mindspore; None if nobody says.
        lanes (int): how many windows are run at the same time.
    """

    def __init__(self, model, name="model", window=10.0, overlap=2.0):
        self.model, self.name, self.config = model, name, model.config
        self.sample_rate, self.num_spks = model.config.sample_rate, model.config.num_spks
        if model.length is not None:  # of fixed length: it has its own window
            self._window, self._overlap = model.length, model.length // 2
        else:
            if not 0 <= overlap <= window / 2:
                raise UserError(f"an overlap of {overlap:g} s does not fit into windows of {window:g} s: "
                                "at most half of one")
            self._window, self._overlap = (round(seconds * self.sample_rate) for seconds in (window, overlap))
        self.lanes, self.runtime = getattr(model, "lanes", 1), getattr(model, "runtime", None)
        self._free = threading.BoundedSemaphore(self.lanes)

    @classmethod
    def load(cls, path=None, device_target="auto", device_id=0, runtime="auto", **options):
        """Open a checkpoint, MINDIR or ONNX, or a ready model by its name (None: the default one).

        Args:
            device_target (str): auto, Ascend or CPU.
            runtime (str): auto, mindspore or onnx; see :func:`src.weights.trained_model.load_model`.
            options: window, overlap: seconds, of models that take any length.
        Raises:
            UserError: missing, corrupt or foreign file; no such device; a runtime that cannot run it.
        """
        model = load_model(path, runtime, device_target, device_id)
        return cls(model, str(model.path), **options)

    def separate(self, audio, sample_rate, channel="mean"):
        """The voices of a whole recording.

        Args:
            audio: float [T] or [channels, T], full scale 1 (int16: full scale 32768).
            sample_rate (int): Hz.
            channel: of several channels ``"mean"``, the number of one (from 0), or ``"each"``.
        Returns:
            float32 [C, T] (each: [channels, C, T]) at the same rate. One gain for all makes their sum fit the mixture,
            lowered where they would pass full scale.
        Raises:
            UserError: no such channel, NaN or infinite samples, not an array of samples.
        """
        audio = as_float(audio)
        if channel == "each":
            return np.stack([self.separate(row, sample_rate) for row in np.atleast_2d(audio)])
        blocks = (audio[..., start : start + BLOCK] for start in range(0, audio.shape[-1], BLOCK))
        run = Run(self, blocks, sample_rate, channel)
        pieces = [run.back(tracks) for tracks in run]
        voices = np.concatenate([*pieces, run.rest()], 1)
        voices *= run.fit.safe_gain(float(np.abs(voices).max(initial=0)))
        return voices

    def stream(self, blocks, sample_rate, channel="mean"):
        """The voices of a recording that comes in blocks, as soon as they are settled: a window later, up to three more
        where it has to be found out who speaks after a silence.

        Args:
            blocks: iterable of float [t] or [channels, t], of any lengths.
            sample_rate, channel: as of :meth:`separate` (but for ``"each"``).
        Yields:
            float32 [C, t'], together as many samples as came in. Their gain is the fit to the mixture so far; they may
            pass full scale as the mixture may.
        Raises:
            UserError: as :meth:`separate`.
        """
        run, gain = Run(self, blocks, sample_rate, channel, live=True), None
        for tracks in run:
            before, gain = gain, run.fit.gain
            tracks = tracks * np.linspace(gain if before is None else before, gain, tracks.shape[1], dtype=np.float32)
            if (voices := run.back(tracks)).size:
                yield voices
        if (voices := run.rest()).size:
            yield voices

    def separate_batch(self, rows, sample_rate):
        """The voices of several recordings of one length, which go through the network together where they fit into a
        window.

        Args:
            rows: float [B, T].
            sample_rate (int): Hz.
        Returns:
            float32 [B, C, T]: for each row what :meth:`separate` gives.
        Raises:
            UserError: as :meth:`separate`.
        """
        rows = [as_float(row) for row in rows]
        check_rate(sample_rate)
        resamplers = [StreamResampler(sample_rate, self.sample_rate, 1) for _ in rows]
        if -(-len(rows[0]) * self.sample_rate // sample_rate) > self._window:
            return np.stack([self.separate(row, sample_rate) for row in rows])
        for row in rows:
            _check_finite(row, 0)
        mixtures = [np.concatenate([there.push(row[None]), there.finish(there.length())], 1)[0]
                    for there, row in zip(resamplers, rows)]
        out = np.empty((len(rows), self.num_spks, len(rows[0])), np.float32)
        for voices, (estimates, heard) in zip(out, self.estimate_batch(mixtures)):
            fit, back = MixtureFit(), StreamResampler(self.sample_rate, sample_rate, self.num_spks)
            fit.add(estimates, heard)
            voices[:] = np.concatenate([back.push(estimates)[:, : voices.shape[1]], back.finish(voices.shape[1])], 1)
            voices *= fit.safe_gain(float(np.abs(voices).max(initial=0)))
        return out

    def estimate(self, mixture, lane=False):
        """Estimates [C, t] of one window [t] of a recording at the model's rate, scaled by nothing but the model, and
        the mixture as the model heard it: without an offset. ``lane``: others are estimated at the same time."""
        return self.estimate_batch([mixture], lane)[0]

    def estimate_batch(self, mixtures, lane=False):
        """What :meth:`estimate` gives for each of several windows [t] of one length: a list of (estimates, mixture)."""
        if len(mixtures[0]) >= OFFSET_SECONDS * self.sample_rate:
            mixtures = [remove_offset(mixture) for mixture in mixtures]
        peaks = [float(np.abs(mixture).max(initial=0)) for mixture in mixtures]
        heard = [i for i, peak in enumerate(peaks) if peak > 0]
        out = [(np.zeros((self.num_spks, len(mixture)), np.float32), mixture) for mixture in mixtures]
        if not heard:
            return out
        levels = [np.float32(usual_level(peaks[i])) for i in heard]
        scaled = np.stack([(mixtures[i] * level).astype(np.float32) for i, level in zip(heard, levels)])
        with self._free:
            estimates = run_batch(self.model.lane if lane else self.model, scaled)
        for i, level, found in zip(heard, levels, estimates):
            out[i] = (found / level).astype(np.float32), mixtures[i]
        return out


class Run:
    """One recording on its way through a separator: an iterator of tracks [C, t] at the model's rate.

    Args:
        live (bool): the blocks come as they are recorded: each window is run before the next one is waited for.
    Attributes:
        fit (MixtureFit): of all tracks given so far.
        frames (int): samples taken so far, at the recording's rate.
        done (int): those of them whose windows have been run.
    """

    def __init__(self, separator, blocks, sample_rate, channel, live=False):
        check_rate(sample_rate)
        self.separator, self.blocks, self.channel, self.live = separator, blocks, channel, live
        self.fit, self.frames, self.done = MixtureFit(), 0, 0
        self._there = StreamResampler(sample_rate, separator.sample_rate, 1)
        self._back = StreamResampler(separator.sample_rate, sample_rate, separator.num_spks)

    def __iter__(self):
        separator, joiner = self.separator, Joiner()
        order = SpeakerOrder(separator.num_spks, separator.sample_rate)
        lanes = 1 if self.live else separator.lanes
        for (start, _, taken), (estimates, heard) in estimate_all(separator.estimate, self._windows(), lanes):
            self.done = taken
            for ordered in order.add(start, np.concatenate([estimates, heard[None]])):
                yield from self._settled(joiner.add(*ordered))
        for ordered in order.finish():
            yield from self._settled(joiner.add(*ordered))
        rest = joiner.finish()
        if rest is not None:
            yield from self._settled(rest)

    def back(self, tracks):
        """Tracks at the recording's own rate: float32 [C, t']."""
        return self._back.push(tracks)

    def rest(self):
        """What of them is left after the last: as many samples as there were in all."""
        return self._back.finish(self.frames)

    def _windows(self):
        """Yields (start, samples, samples of the recording taken so far)."""
        for start, window in self._cut():
            yield start, window, self.frames

    def _cut(self):
        separator = self.separator
        cutter = WindowCutter(separator._window, separator._overlap, separator.sample_rate)
        for block in self.blocks:
            mono = pick_channel(as_float(block), self.channel)
            _check_finite(mono, self.frames)
            self.frames += len(mono)
            yield from cutter.push(self._there.push(mono[None])[0])
        yield from cutter.push(self._there.finish(self._there.length())[0])
        yield from cutter.finish()

    def _settled(self, rows):
        if rows.shape[1]:
            tracks, mixture = rows[:-1], rows[-1]
            self.fit.add(tracks, mixture)
            yield tracks


def usual_level(peak):
    """A factor that brings samples with this peak near the level of speech: a power of two, exact both ways and far
    from the ends of float32; 1 where they are."""
    low, high = USUAL_PEAK
    return 1.0 if low <= peak <= high else 2.0 ** np.clip(np.round(np.log2(0.25 / peak)), -100, 100)


def run_whole(model, mixture):
    """Estimates of a mixture in one piece: float32 [T] -> [C, T]; see :func:`run_batch`."""
    return run_batch(model, mixture[None])[0]


def run_batch(model, mixtures):
    """Estimates of mixtures, each in one piece: float32 [B, T] -> [B, C, T].

    The network gives nothing for a last piece shorter than its stride, so the input is padded to whole frames.

    Raises:
        UserError: the estimates are not finite.
    """
    length = mixtures.shape[1]
    if model.length is None:
        mixtures = np.pad(mixtures, ((0, 0), (0, family_of(model.config).hop(model.config))))
    estimates = model(mixtures)[:, :, :length]
    if not np.isfinite(estimates).all():
        raise UserError("the model gives NaN or infinite samples for this input")
    return upright(estimates, mixtures[:, :length])


def remove_offset(mixture):
    """Samples [T] without their mean, where it is large enough to be a fault; else as they are."""
    mean = float(mixture.mean(dtype=np.float64))
    if abs(mean) > OFFSET * float(mixture.std(dtype=np.float64)):
        return (mixture - mean).astype(np.float32)
    return mixture


def pick_channel(audio, channel):
    """Samples float32 [t] of audio [t] or [channels, t]: their mean, or the one with the number ``channel``.

    Raises:
        UserError: no such channel.
    """
    rows = np.atleast_2d(audio)
    check_channel(channel, len(rows))
    if channel == "mean":
        return rows[0] if len(rows) == 1 else rows.mean(0, dtype=np.float32)
    return rows[int(channel)]


def check_channel(channel, channels):
    """Raise :class:`UserError` if a recording of so many channels has no such one."""
    if channel != "mean" and not str(channel).isdecimal():
        raise UserError(f"channel {channel!r}: expected mean or a number from 0")
    if channel != "mean" and int(channel) >= channels:
        raise UserError(f"no channel {channel}: there are {channels}, counted from 0")


def as_float(audio):
    """Samples as float32 [t] or [channels, t], 16-bit integers by their full scale.

    Raises:
        UserError: not samples.
    """
    audio = np.asarray(audio)
    if audio.ndim not in (1, 2) or audio.dtype.kind not in "fi" or (audio.dtype.kind == "i" and audio.itemsize != 2):
        raise UserError(f"expected samples [T] or [channels, T] as floats or 16-bit integers, got {audio.dtype} "
                        f"{list(audio.shape)}")
    if audio.dtype.kind == "i":
        return audio.astype(np.float32) / 32768
    return audio.astype(np.float32, copy=False)


def _check_finite(samples, start):
    finite = np.isfinite(samples)
    if not finite.all():
        raise UserError(f"NaN or infinite samples, the first at sample {start + int(np.argmin(finite))}")


def check_rate(rate):
    """Raise :class:`UserError` if a sample rate cannot be meant."""
    if not 1000 <= rate <= 1_000_000:
        raise UserError(f"a sample rate of {rate} Hz is outside 1000 to 1000000 Hz")

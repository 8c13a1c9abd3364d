"""Mixtures that are made as they are needed, each a function of (seed, epoch, index) alone; of numpy, on any machine.

Every speaker is as likely as any other, however much there is of them; of a speaker, every second is.
"""

import math

import numpy as np

from src.audio.files import from_pcm16, resample
from src.audio.levels import PEAK, active_level, gain_of, level
from src.audio.rooms import reverberate
from src.core.errors import UserError, first_names
from src.data.loading.turns import draw_gates

BLOCK = 1024  # mixtures whose rows are looked up at a time
FAINT_DB = 20.0  # a crop so far below its recordings' level is a pause: a louder one is taken
TURNS = 1  # the stream of numbers that turns are drawn from: without them all others stay as they are


class FreshMixtures:
    """The mixtures of a recipe, whatever its voices are read from.

    Args:
        config (src.training.config.TrainConfig): the recipe.
        voices (src.data.loading.tape_layout.TapeLayout): one tape for each speaker, with ``recordings(rows)``.
        noises (TapeLayout): one tape; None.
        rooms (src.audio.rooms.Rooms): None.
    """

    def __init__(self, config, voices, noises=None, rooms=None):
        self.config, self.voices, self.noises, self.rooms = config, voices, noises, rooms
        self.segment = round(config.segment * config.sample_rate)
        self.longest = math.ceil(self.segment * (1 + config.speed_change))  # read for one voice
        self.mixtures = config.epoch_mixtures or max(1, round(voices.samples / (config.num_spks * self.segment)))

    def describe(self):
        """What an epoch is, in words."""
        config, hours = self.config, self.voices.samples / self.config.sample_rate / 3600
        extras = [word for word, there in (("noise", self.noises), ("reverberation", self.rooms),
                                           ("single voices", config.single_prob), ("turns", config.turns_prob))
                  if there]
        listed = " and ".join(filter(None, (", ".join(extras[:-1]), *extras[-1:])))
        return (f"{self.mixtures} fresh mixtures an epoch, of {len(self.voices)} speakers ({hours:.2f} h)"
                + (f", with {listed}" if extras else "")
                + "".join(f"; {config.rir_dir}: skipped {len(names)}, {reason}: {first_names(names)}"
                          for reason, names in (self.rooms.skipped if self.rooms else {}).items()))

    def draws(self, epoch):
        """Speakers [E, C], where on their tapes [E, C] (0 to 1), with noise or not [E], and where in it [E]."""
        speakers = self.config.num_spks
        uniform = np.random.default_rng((self.config.seed, epoch)).random((self.mixtures, 2 * speakers + 2))
        noisy = uniform[:, -2] < (self.config.noise_prob if self.noises else 0)
        return distinct(uniform[:, :speakers], len(self.voices)), uniform[:, speakers:-2], noisy, uniform[:, -1]

    def recorded(self, epoch, indices):
        """Yield what :meth:`mix` needs for each of ``indices``, as arrays: index; PCM of all rows one after the other;
        for each voice and the noise the number of samples and the first one wanted; their levels in dBFS."""
        who, where, noisy, noise_where = self.draws(epoch)
        for first in range(0, len(indices), BLOCK):
            block = indices[first : first + BLOCK]
            takes = [[self.voices.take(*choice, self.longest) for choice in zip(who[i], where[i])] for i in block]
            noise_takes = [self.noises.take(0, noise_where[i], self.segment) if noisy[i] else None for i in block]
            voices = self.voices.recordings([row for wanted in takes for take in wanted for row in take.rows])
            noises = self.noises and self.noises.recordings([row for take in noise_takes if take for row in take.rows])
            for i, wanted, noise in zip(block, takes, noise_takes):
                parts, cuts, levels = [], [], []
                for take, rows in [(take, voices) for take in wanted] + ([(noise, noises)] if noise else []):
                    pcm, heights = zip(*(next(rows) for _ in take.rows))
                    parts += pcm
                    cuts.append((sum(map(len, pcm)), take.offset))
                    levels.append(max(heights))
                yield np.int64(i), np.concatenate(parts), np.array(cuts), np.array(levels)

    def mix(self, key, pcm, cuts, levels):
        """One mixture from its recordings; every choice left follows from ``key``.

        Returns:
            tuple: mixture float32 [T], targets float32 [C, T], T.
        """
        config, rate = self.config, self.config.sample_rate
        rng = np.random.default_rng(key)
        tapes = np.split(from_pcm16(pcm), np.cumsum([length for length, _ in cuts])[:-1])
        speakers = config.num_spks
        heard = np.stack([self._voice(rng, tape, int(offset), dbfs)
                          for tape, (_, offset), dbfs in zip(tapes, cuts[:speakers], levels)])
        heard = self._in_turn(key, heard, levels)
        targets = heard
        if self.rooms and rng.random() < config.rir_prob:
            pairs = [reverberate(voice, self.rooms.read(path), rate)
                     for voice, path in zip(heard, self.rooms.draw(rng, speakers))]
            heard, targets = (np.stack(signals) for signals in zip(*pairs))
            targets = targets if config.rir_target == "early" else heard
        mean = rng.uniform(config.level_low, config.level_high)
        gains = np.array([_change(rng.uniform(-1, 1) * config.level_spread + mean, active_level(voice, rate))
                          for voice in heard], np.float32)[:, None]
        heard, targets = heard * gains, targets * gains
        noise = np.zeros((0, self.segment), np.float32)
        if len(tapes) > speakers:
            noise = np.resize(tapes[-1][int(cuts[-1][1]) :], self.segment)[None]  # a short one is repeated
            snr = rng.uniform(config.snr_low, config.snr_high)
            noise = noise * np.float32(_change(active_level(heard.sum(0), rate) - snr, level(noise[0])))
        peak = max(np.abs(signal).max() for signal in (np.vstack([heard, noise]).sum(0), heard, targets))
        if peak > PEAK:
            heard, targets, noise = (signal * np.float32(PEAK / peak) for signal in (heard, targets, noise))
        return np.vstack([heard, noise]).sum(0), targets, np.int32(self.segment)

    def _in_turn(self, key, voices, levels):
        """The voices [C, T] as they speak in this mixture, see turns.py; a turn that falls into a pause of its
        voice is silence."""
        config = self.config
        if not config.single_prob and not config.turns_prob:
            return voices
        gates = draw_gates(np.random.default_rng((*key, TURNS)), config, self.segment)
        if gates is None:
            return voices
        spoken = np.stack([voice * gate if level(voice[gate > 0]) >= dbfs - FAINT_DB else np.zeros_like(voice)
                           for voice, gate, dbfs in zip(voices, gates, levels)])
        return spoken if spoken.any() else voices

    def _voice(self, rng, tape, offset, dbfs):
        """A segment of a tape at a speed of its own, float32 [T]; a tape that is shorter lies anywhere in it."""
        change = self.config.speed_change
        speed = 1 + rng.uniform(-change, change)
        samples = math.ceil(self.segment * speed)
        crop = tape[offset : offset + samples]
        if level(crop) < dbfs - FAINT_DB:
            starts = range(0, len(tape) - len(crop) + 1, max(1, samples // 4))
            crop = max((tape[start : start + samples] for start in starts), key=level)
        crop = resample(crop, speed, 1)[: self.segment]
        voice = np.zeros(self.segment, np.float32)
        start = rng.integers(self.segment - len(crop) + 1)
        voice[start : start + len(crop)] = crop
        return voice


def distinct(uniform, choices):
    """Uniform numbers [N, C] to C different whole numbers below ``choices`` in each row, all C-tuples as likely."""
    chosen = np.empty(uniform.shape, np.int64)
    for c in range(uniform.shape[1]):
        pick = (uniform[:, c] * (choices - c)).astype(np.int64)  # among those left, counted from below
        for earlier in np.sort(chosen[:, :c], axis=1).T:
            pick += pick >= earlier
        chosen[:, c] = pick
    return chosen


def check_options(config):
    """Raise :class:`UserError` for options that contradict each other."""
    for low, high in (("level_low", "level_high"), ("snr_low", "snr_high"), ("overlap_low", "overlap_high")):
        if getattr(config, low) > getattr(config, high):
            raise UserError(f"--{low} {getattr(config, low)} is above --{high} {getattr(config, high)}")
    if config.single_prob + config.turns_prob > 1:
        raise UserError(f"--single_prob {config.single_prob} and --turns_prob {config.turns_prob} are more than 1 "
                        "together")
    if config.num_spks == 1 and (config.single_prob or config.turns_prob):
        raise UserError("--single_prob and --turns_prob need two speakers or more; --num_spks is 1")
    if config.num_spks == 1 and not config.noise_dir and not (config.rir_dir and config.rir_target == "early"):
        raise UserError("--dynamic_mixing with --num_spks 1 mixes one voice with nothing; give --noise_dir")


def _change(wanted, found):
    """The factor from one level to another, dBFS; 1 for silence, which has none."""
    return gain_of(wanted - found) if found > -math.inf else 1.0

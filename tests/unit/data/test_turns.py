"""Single voices and turns in fresh mixtures: shares of time, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest

from src.core.errors import UserError
from src.data.loading.mixture_recipe import FreshMixtures, check_options
from src.data.loading.tape_layout import TapeLayout
from src.data.loading.turns import draw_gates, draw_turns
from src.training.config import TrainConfig
from tests.helpers.voices import PITCHES, tone

RATE = 8000


class Voices(TapeLayout):
    """Three voices in memory: a tone with pauses of silence, one row each."""

    def __init__(self):
        names = list(PITCHES)[:3]
        self.pcm = [(32768 * tone(PITCHES[name], 5, seed=n)).astype(np.int16) for n, name in enumerate(names)]
        super().__init__({name: [len(pcm)] for name, pcm in zip(names, self.pcm)})

    def recordings(self, order):
        for row in order:
            yield self.pcm[row], -17.0


def config(**options):
    return TrainConfig(segment=0.5, dynamic_mixing=True, epoch_mixtures=200, seed=5, **options)


def mixtures(options, count=None):
    """(mixture, targets) of an epoch."""
    fresh = FreshMixtures(options, Voices())
    rows = fresh.recorded(0, np.arange(count or fresh.mixtures))
    return [fresh.mix((options.seed, 0, int(i) + 1), pcm, cuts, levels)[:2] for i, pcm, cuts, levels in rows]


@pytest.mark.parametrize("speakers", [2, 3, 5])
@pytest.mark.parametrize("overlap", [-0.4, -0.05, 0.0, 0.3, 1.0])
def test_turns_overlap_or_pause_as_long_as_asked(speakers, overlap):
    rng = np.random.default_rng(2)
    time = np.linspace(0, 1, 20001)[:-1]
    for _ in range(40):
        turns = draw_turns(rng, speakers, overlap)
        assert {speaker for speaker, _, _ in turns} == set(range(speakers))
        assert len(turns) == speakers or (len(turns) == speakers + 1 and turns[0][0] == turns[-1][0])
        assert all(a[0] != b[0] for a, b in zip(turns, turns[1:]))
        assert turns[0][1] == 0 and turns[-1][2] == pytest.approx(1)
        talking = sum(((time >= start) & (time < end)).astype(int) for _, start, end in turns)
        assert np.mean(talking == 2) == pytest.approx(max(overlap, 0), abs=3e-3)
        assert np.mean(talking == 0) == pytest.approx(max(-overlap, 0), abs=3e-3)
        assert talking.max() <= 2, "never three at once"
        if overlap < 1:
            assert min(end - start for _, start, end in turns) >= 0.5 * (1 - abs(overlap)) / len(turns) - 1e-9


def test_shares_of_single_voices_and_turns():
    options, rng = config(single_prob=0.3, turns_prob=0.4, overlap_low=0.1, overlap_high=0.4), np.random.default_rng(0)
    kinds, alone, overlaps = [], [], []
    for _ in range(2000):
        gates = draw_gates(rng, options, 4000)
        if gates is None:
            kinds.append("both")
            continue
        assert gates.dtype == np.float32 and gates.shape == (2, 4000) and 0 <= gates.min() and gates.max() == 1
        silent = ~gates.any(1)
        kinds.append("single" if silent.any() else "turns")
        if silent.any():
            assert (gates[~silent] == 1).all() and silent.sum() == 1
            alone.append(int(silent.argmax()))
        else:
            overlaps.append(np.mean((gates > 0).all(0)))
            steps = np.abs(np.diff(gates)).max()
            assert steps < 0.05, "edges are faded"
    shares = {kind: kinds.count(kind) / 2000 for kind in set(kinds)}
    assert shares["single"] == pytest.approx(0.3, abs=0.04) and shares["turns"] == pytest.approx(0.4, abs=0.04)
    assert np.mean(alone) == pytest.approx(0.5, abs=0.07)
    assert 0.095 < min(overlaps) < 0.13 and 0.37 < max(overlaps) < 0.41


def test_without_the_options_nothing_changes_and_with_them_only_who_speaks():
    plain = mixtures(config())
    never = mixtures(config(single_prob=1e-12, turns_prob=1e-12))
    assert all(np.array_equal(a, b) for one, other in zip(plain, never) for a, b in zip(one, other))
    some = mixtures(config(single_prob=0.5, level_spread=0.0))
    same = mixtures(config(level_spread=0.0))
    singles = 0
    for (mixture, targets), (_, both) in zip(some, same):
        assert np.array_equal(mixture, targets.sum(0))
        heard = targets.any(1)
        singles += heard.sum() == 1
        assert np.allclose(targets[heard], both[heard], atol=1e-6), "the voice that speaks is the same"
    assert 70 < singles < 130


def test_turns_are_heard_in_the_targets():
    for mixture, targets in mixtures(config(turns_prob=1.0, overlap_low=-0.3, overlap_high=-0.3), 60):
        assert np.array_equal(mixture, targets.sum(0)) and targets.any(1).all()
        silent = np.mean(~(np.abs(targets) > 0).any(0))
        assert silent == pytest.approx(0.3, abs=0.02)
        assert np.mean((np.abs(targets) > 0).all(0)) < 0.01


def test_a_turn_in_a_pause_is_silence_but_never_all_of_them():
    class Pausing(Voices):
        def __init__(self):
            super().__init__()
            for pcm in self.pcm[1:]:
                pcm[: len(pcm) // 8 * 7] = 0

    options = config(turns_prob=1.0, overlap_low=0.0, overlap_high=0.0)
    fresh = FreshMixtures(options, Pausing())
    for i, pcm, cuts, levels in fresh.recorded(0, np.arange(100)):
        mixture, targets, _ = fresh.mix((5, 0, int(i) + 1), pcm, cuts, levels)
        assert np.isfinite(targets).all() and mixture.any()
        assert all(not target.any() or np.sqrt(np.mean(target**2)) > 1e-3 for target in targets)


def test_options_that_contradict_each_other():
    for options, words in ((dict(single_prob=0.6, turns_prob=0.5), "are more than 1 together"),
                           (dict(overlap_low=0.6), "--overlap_low 0.6 is above --overlap_high 0.5"),
                           (dict(single_prob=0.1, num_spks=1, noise_dir="n"), "need two speakers or more")):
        with pytest.raises(UserError, match=words):
            check_options(replace(config(), **options))

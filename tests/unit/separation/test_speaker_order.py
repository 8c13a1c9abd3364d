"""Windows of long recordings: where they lie, who is who in them, and how they are joined."""

import itertools

import numpy as np
import pytest

from benchmarks.conversations import conversation, utterances
from benchmarks.long_recording import our_order, overlap_order, simulate, swaps, true_order
from src.separation.joiner import Joiner
from src.separation.speaker_order import SpeakerOrder
from src.separation.voice_profile import COEFFICIENTS, Listener
from src.separation.windows import WindowCutter
from tests.helpers.synth import ROOT

RATE = 8000


@pytest.fixture(scope="module")
def speakers():
    return utterances(ROOT / "samples")[0]


def cut(samples, seconds=10.0, overlap=2.0, sizes=(1000, 60000), seed=0):
    """All windows [(start, samples)], of a stream that comes in blocks of any size."""
    cutter, rng, at, windows = WindowCutter(round(seconds * RATE), round(overlap * RATE), RATE), \
        np.random.default_rng(seed), 0, []
    while at < len(samples):
        size = int(rng.integers(*sizes))
        windows += cutter.push(samples[at : at + size])
        at += size
    return windows + list(cutter.finish())


@pytest.mark.parametrize("length", [1, 79999, 80000, 80001, 144000, 144001, 500000])
def test_windows_cover_everything_and_are_whole(length):
    samples = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    windows = cut(samples)
    assert windows[0][0] == 0 and windows[-1][0] + len(windows[-1][1]) == length
    for start, window in windows:
        assert len(window) == min(80000, length) and np.array_equal(window, samples[start : start + len(window)])
    for (one, _), (two, _) in zip(windows, windows[1:]):
        assert one < two <= one + 64000, "neighbours share 2 s at least"
    assert [start for start, _ in cut(samples, sizes=(length, length + 1))] == [start for start, _ in windows]


def test_a_window_reaches_back_to_the_last_speech():
    samples = np.random.default_rng(0).normal(0, 1e-4, 400000).astype(np.float32)
    samples[:48000] += np.random.default_rng(1).normal(0, 0.1, 48000).astype(np.float32)  # 6 s, then nothing
    (_, _), (second, _), (third, _) = cut(samples)[:3]
    assert 39500 <= second <= 40000, "a second of speech in the overlap"
    assert third == second + 64000, "where nobody spoke for long the windows go on as usual"


def test_joining_gives_back_what_was_cut_and_fades_from_one_to_the_other():
    samples = np.random.default_rng(0).normal(0, 0.1, 300000).astype(np.float32)
    joiner, ones = Joiner(), Joiner()
    pieces, sums = [], []
    for number, (start, window) in enumerate(cut(samples)):
        pieces.append(joiner.add(start, window[None]))
        sums.append(ones.add(start, np.full((1, len(window)), number % 2, np.float32)))
    whole = np.concatenate([*pieces, joiner.finish()], 1)[0]
    assert np.abs(whole - samples).max() < 1e-7
    faded = np.concatenate([*sums, ones.finish()], 1)[0]
    assert faded.min() >= 0 and faded.max() <= 1 and np.abs(np.diff(faded)).max() < 2e-4, "no click"
    assert Joiner().finish() is None


PAIRS = [("allison", "carlo"), ("ivrvoice", "paola"), ("allison", "june")]


@pytest.mark.parametrize("seed, pair", list(enumerate(PAIRS)))
def test_oracle_windows_with_pauses_are_ordered_without_a_mistake(speakers, seed, pair):
    rng = np.random.default_rng((21, seed))
    sources, mixture = conversation([speakers[name] for name in pair], 240, RATE, rng)
    windows = [(start, simulate(sources, start, start + len(part), rng)[rng.permutation(2)])
               for start, part in cut(mixture)]
    truth = true_order(windows, sources)
    found = our_order(windows, RATE)
    assert [start for start, _ in found] == [start for start, _ in windows]
    assert swaps(found, truth, sources) == 0
    assert swaps(overlap_order(windows), truth, sources) > 0, "the overlap alone does not do it"


def test_three_speakers_across_a_silence_longer_than_a_window(speakers):
    rng = np.random.default_rng(5)
    names = ("carlo", "june", "paola")
    parts = [np.stack([np.concatenate(speakers[name])[k * 200000 :][:200000] for name in names]) for k in (0, 1)]
    sources = np.concatenate([parts[0], np.zeros((3, 30 * RATE), np.float32), parts[1]], 1)
    orders, windows = list(itertools.permutations(range(3))), []
    for start, part in cut(sources.sum(0)):
        tracks = sources[:, start : start + len(part)] + 1e-4 * rng.standard_normal((3, len(part)))
        windows.append((start, tracks[list(orders[rng.integers(6)])].astype(np.float32)))
    order = SpeakerOrder(3, RATE)
    found = [*(done for start, tracks in windows for done in order.add(start, tracks)), *order.finish()]
    joiner = Joiner()
    whole = np.concatenate([*(joiner.add(*window) for window in found), joiner.finish()], 1)
    likeness = np.corrcoef(np.concatenate([whole, sources]))[:3, 3:]
    assert sorted(likeness.argmax(1)) == [0, 1, 2] and likeness.max(1).min() > 0.99


def test_what_follows_the_tracks_keeps_its_place_and_a_single_speaker_too():
    order = SpeakerOrder(1, RATE)
    rows = np.random.default_rng(0).normal(0, 0.1, (2, 40000)).astype(np.float32)
    (start, given), = order.add(0, rows[:, :30000]) + order.finish()
    assert start == 0 and np.array_equal(given, rows[:, :30000])
    (start, given), = order.add(20000, rows[:, 20000:]) + order.finish()
    assert start == 20000 and np.array_equal(given, rows[:, 20000:])


def test_cepstra_know_a_voice_again(speakers):
    """Of every speaker one half of the utterances is nearest to the other half."""
    names = sorted(speakers)
    halves = []
    for part in (0, 1):
        length = min(sum(map(len, speakers[name][part::2])) for name in names)
        # one at a time, so that every frame is one voice's own
        heard = None
        for c, name in enumerate(names):
            tracks = np.zeros((len(names), length), np.float32)
            tracks[c] = np.concatenate(speakers[name][part::2])[:length]
            one = Listener(RATE).hear(tracks)
            heard = one if heard is None else heard + one
        halves.append(heard)
    assert halves[0].sum.shape == (5, COEFFICIENTS) and halves[0].count.min() > 500
    assert np.array_equal(halves[0].similarity(halves[1]).argmax(1), np.arange(5))
    assert not Listener(RATE).hear(np.zeros((2, 5000), np.float32)).count.any()
    assert not Listener(RATE).hear(np.zeros((2, 5), np.float32)).count.any()

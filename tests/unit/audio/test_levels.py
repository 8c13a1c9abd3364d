"""Levels and loudness against their definitions."""

import numpy as np
import pytest

from src.audio.levels import PEAK, active_level, gain_of, level, loudness, protect
from tests.helpers.voices import tone

RATE = 8000


def test_level_of_a_sine():
    sine = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    assert level(sine) == pytest.approx(-3.01, abs=0.01)
    assert active_level(sine, RATE) == pytest.approx(-3.01, abs=0.01)
    assert level(0.1 * sine) == pytest.approx(-23.01, abs=0.01)


def test_pauses_do_not_count():
    voice = tone(440, 2)
    padded = np.concatenate([np.zeros(3 * RATE), voice, np.zeros(5 * RATE)])
    hissing = padded + 1e-4 * np.random.default_rng(0).standard_normal(len(padded))
    assert active_level(padded, RATE) == pytest.approx(active_level(voice, RATE), abs=0.05)
    assert active_level(hissing, RATE) == pytest.approx(active_level(voice, RATE), abs=0.05)
    assert level(padded) < level(voice) - 5


def test_gain_changes_the_level_by_so_many_db():
    voice = tone(440, 1)
    for change in (-20, 3.5):
        changed = gain_of(change) * voice
        assert active_level(changed, RATE) - active_level(voice, RATE) == pytest.approx(change, abs=1e-4)
        assert loudness(changed, RATE) - loudness(voice, RATE) == pytest.approx(change, abs=0.05)


def test_loudness_of_the_standards_reference():
    """BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LUFS."""
    sine = np.sin(2 * np.pi * 997 * np.arange(10 * 48000) / 48000)
    assert loudness(sine, 48000) == pytest.approx(-3.01, abs=0.05)


def test_silence_has_no_level():
    for measure in (level, lambda x: active_level(x, RATE), lambda x: loudness(x, RATE)):
        assert measure(np.zeros(RATE)) == -np.inf


def test_protect_scales_together():
    a, b = np.array([0.1, -1.8]), np.array([0.5, 0.2])
    assert protect(a, b) == pytest.approx(0.5)
    assert np.abs(a).max() == pytest.approx(PEAK) and b[0] == pytest.approx(0.25)
    c = np.array([0.3, -PEAK])
    assert protect(c) == 1.0 and c[0] == 0.3

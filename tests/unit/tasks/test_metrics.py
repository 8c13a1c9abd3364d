"""Scores against mir_eval and the definition."""

import numpy as np
import pytest

from src.tasks.separation.scorer import Scorer
from tests.unit.tasks.test_loss import si_snr


def test_scores_follow_the_definition_and_the_assignment():
    rng = np.random.default_rng(0)
    sources = rng.normal(0, 0.2, (2, 2, 3000)).astype(np.float32)
    mixture = sources.sum(1)
    estimates = (sources + rng.normal(0, 0.02, sources.shape)).astype(np.float32)
    estimates[1] = estimates[1, ::-1]
    scores = Scorer(2)(mixture, sources, estimates)
    assert scores["assignment"].tolist() == [[0, 1], [1, 0]]
    for b in range(2):
        for c in range(2):
            after = si_snr(estimates[b, scores["assignment"][b, c]], sources[b, c])
            before = si_snr(mixture[b], sources[b, c])
            assert scores["si_snr"][b, c] == pytest.approx(after, abs=1e-3)
            assert scores["si_snri"][b, c] == pytest.approx(after - before, abs=2e-3)


def test_silent_source_has_no_score():
    sources = np.random.default_rng(0).normal(0, 0.2, (2, 2, 500)).astype(np.float32)
    sources[0, 1] = 0
    scores = Scorer(2)(sources.sum(1), sources, sources[:, ::-1])
    assert np.isnan(scores["si_snri"][0]).all() and np.isfinite(scores["si_snri"][1]).all()


def test_the_same_scores_every_time():
    rng = np.random.default_rng(5)
    sources = rng.normal(0, 0.1, (1, 2, 3000)).astype(np.float32)
    estimates = sources + rng.normal(0, 0.05, sources.shape).astype(np.float32)
    scorer = Scorer(2)
    found = [scorer(sources.sum(1), sources, estimates) for _ in range(30)]
    for name in ("si_snr", "si_snri"):
        assert len({scores[name].tobytes() for scores in found}) == 1, name

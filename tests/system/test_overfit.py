"""The demo recipe learns one batch of two real mixtures by heart (benchmarks/overfit.py prints the curve)."""

import pytest

from benchmarks.overfit import overfit


@pytest.mark.slow
def test_two_real_mixtures_by_heart():
    score, steps, seconds = overfit(target_db=12.0, max_steps=1500)
    print(f"{score:.2f} dB after {steps} steps, {seconds:.0f} s")
    assert score > 12.0

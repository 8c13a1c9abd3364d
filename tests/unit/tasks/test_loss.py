"""SI-SNR and PIT against float64 definitions, and on silence."""

import itertools

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.tasks.separation.loss import PermutationSearch, PITLoss, UnlearntLoss, pairwise_si_snr, training_scores


def si_snr(estimate, source):
    """The definition, float64."""
    estimate, source = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64) for v in (estimate, source))
    target = estimate @ source / (source @ source) * source
    return 10 * np.log10((target**2).sum() / ((estimate - target) ** 2).sum())


def signals(speakers, length=400, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    sources = rng.normal(0.05, 0.3, (batch, speakers, length)).astype(np.float32)
    estimates = (sources[:, ::-1] * 0.7 + rng.normal(0, 0.1, sources.shape)).astype(np.float32)
    return estimates, sources


def lengths_of(*values):
    return Tensor(np.array(values, np.int32))


@pytest.mark.parametrize("speakers", [1, 2, 3, 4, 5])
def test_best_permutation_of_the_definition(speakers):
    estimates, sources = signals(speakers)
    scores, order = PermutationSearch(speakers)(
        pairwise_si_snr(Tensor(estimates), Tensor(sources), lengths_of(400, 400, 400)))
    for b in range(3):
        table = [[si_snr(e, s) for s in sources[b]] for e in estimates[b]]
        best = max(itertools.permutations(range(speakers)), key=lambda p: sum(table[p[c]][c] for c in range(speakers)))
        assert tuple(order.asnumpy()[b]) == best
        expected = np.mean([table[best[c]][c] for c in range(speakers)])
        assert scores.asnumpy()[b] == pytest.approx(expected, abs=1e-3)


def test_order_of_sources_does_not_matter():
    estimates, sources = signals(3)
    loss = PITLoss(3)
    values = [float(loss(Tensor(estimates), Tensor(sources[:, list(p)]), lengths_of(400, 400, 400)).asnumpy())
              for p in itertools.permutations(range(3))]
    assert np.ptp(values) < 1e-4


def test_only_valid_samples_count():
    estimates, sources = signals(2)
    lengths = [400, 250, 1]
    spoiled = [a.copy() for a in (estimates, sources)]
    for array in spoiled:
        array[1, :, 250:] = 7
        array[2, :, 1:] = -3
    loss = PITLoss(2)
    assert float(loss(Tensor(estimates), Tensor(sources), lengths_of(*lengths)).asnumpy()) == pytest.approx(
        float(loss(*map(Tensor, spoiled), lengths_of(*lengths)).asnumpy()), abs=1e-5)
    cut = float(loss(Tensor(estimates[1:2, :, :250]), Tensor(sources[1:2, :, :250]), lengths_of(250)).asnumpy())
    masked = float(loss(Tensor(estimates[1:2]), Tensor(sources[1:2]), lengths_of(250)).asnumpy())
    assert cut == pytest.approx(masked, abs=1e-4)


def test_scale_and_offset_do_not_matter():
    estimates, sources = signals(2)
    base = pairwise_si_snr(Tensor(estimates), Tensor(sources), lengths_of(400, 400, 400)).asnumpy()
    moved = pairwise_si_snr(Tensor(3 * estimates + 0.5), Tensor(sources * 0.2), lengths_of(400, 400, 400)).asnumpy()
    assert np.abs(base - moved).max() < 1e-2


def test_perfect_estimate_scores_high():
    _, sources = signals(2)
    assert float(PITLoss(2)(Tensor(sources * 0.5), Tensor(sources), lengths_of(400, 400, 400)).asnumpy()) < -60


@pytest.mark.parametrize("silent", ["estimate", "source", "both", "one source", "one estimate"])
def test_silence_gives_finite_loss_and_gradient(silent):
    estimates, sources = signals(2)
    if silent in ("estimate", "both"):
        estimates[:] = 0
    if silent in ("source", "both"):
        sources[:] = 0
    if silent == "one source":
        sources[:, 0] = 0
    if silent == "one estimate":
        estimates[:, 1] = 0
    loss = PITLoss(2)

    def value(e):
        return loss(e, Tensor(sources), lengths_of(400, 400, 400))

    result, gradient = ms.value_and_grad(value)(Tensor(estimates))
    assert np.isfinite(result.asnumpy()) and np.isfinite(gradient.asnumpy()).all()


def test_gradient_is_the_slope():
    estimates, sources = signals(2, length=60, batch=1)
    loss = PITLoss(2)

    def value(e):
        return loss(e, Tensor(sources), lengths_of(60))

    gradient = ms.grad(value)(Tensor(estimates)).asnumpy()
    direction = np.random.default_rng(3).normal(size=estimates.shape).astype(np.float32)
    step = 1e-2
    slope = (float(value(Tensor(estimates + step * direction)).asnumpy())
             - float(value(Tensor(estimates - step * direction)).asnumpy())) / (2 * step)
    assert np.vdot(gradient, direction) == pytest.approx(slope, rel=2e-2, abs=1e-2)


def thresholded_snr(estimate, source, sources):
    """The definition (Wisdom et al. 2021), float64."""
    estimate, source, *sources = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64)
                                  for v in (estimate, source, *sources))
    power, snr_max = (source @ source, 30) if source.any() else (sum(s @ s for s in sources), 20)
    return 10 * np.log10(power / (((source - estimate) ** 2).sum() + 10 ** (-snr_max / 10) * power))


@pytest.mark.parametrize("speakers", [2, 3])
def test_a_silent_source_is_scored_by_its_definition(speakers):
    estimates, sources = signals(speakers)
    sources[1, 0] = 0
    sources[2, 1:] = 0
    found = training_scores(Tensor(estimates), Tensor(sources), lengths_of(400, 400, 400)).asnumpy()
    plain = pairwise_si_snr(Tensor(estimates), Tensor(sources), lengths_of(400, 400, 400)).asnumpy()
    assert np.allclose(found[0], plain[0], atol=1e-4), "of no concern to the others"
    for b in (1, 2):
        table = np.array([[thresholded_snr(e, s, sources[b]) for s in sources[b]] for e in estimates[b]])
        assert np.allclose(found[b], table, atol=1e-3)
        best = max(np.mean([table[p[c], c] for c in range(speakers)]) for p in itertools.permutations(range(speakers)))
        one = [Tensor(a[b : b + 1]) for a in (estimates, sources)]
        assert float(PITLoss(speakers)(*one, lengths_of(400)).asnumpy()) == pytest.approx(-best, abs=1e-3)
        assert float(UnlearntLoss(speakers, 0)(*one, lengths_of(400))[0].asnumpy()) == pytest.approx(-best, abs=1e-3)


def test_one_voice_and_silence_is_the_best_answer_to_one_voice():
    _, sources = signals(2)
    sources[:, 1] = 0
    loss, lengths = PITLoss(2), lengths_of(400, 400, 400)

    def value(*tracks):
        return float(loss(Tensor(np.stack(tracks, 1)), Tensor(sources), lengths).asnumpy())

    voice = sources[:, 0]
    right = value(voice, 0 * voice)
    assert right == pytest.approx(-25, abs=1e-3) == value(0 * voice, voice)
    for tracks in ((voice, voice), (voice / 2, voice / 2), (0.1 * voice, 0 * voice), (voice, 0.2 * voice)):
        assert value(*tracks) > right + 1, "another level, or twice the same, is worse"


def test_sources_that_are_heard_give_the_gradient_of_si_snr_bit_for_bit():
    estimates, sources = signals(3)
    search, loss, lengths = PermutationSearch(3), PITLoss(3), lengths_of(400, 300, 399)

    def by_si_snr(e):
        return -search(pairwise_si_snr(e, Tensor(sources), lengths))[0].mean()

    def by_loss(e):
        return loss(e, Tensor(sources), lengths)

    (old, expected), (new, found) = (ms.value_and_grad(f)(Tensor(estimates)) for f in (by_si_snr, by_loss))
    assert np.array_equal(expected.asnumpy(), found.asnumpy()) and expected.asnumpy().any()
    assert float(old.asnumpy()) == pytest.approx(float(new.asnumpy()), abs=2e-6)  # the logarithm's last bit varies


def test_gradient_of_a_silent_source_is_the_slope_and_points_to_silence():
    estimates, sources = signals(2, length=60, batch=1)
    sources[:, 1] = 0
    loss = PITLoss(2)

    def value(e):
        return loss(e, Tensor(sources), lengths_of(60))

    gradient = ms.grad(value)(Tensor(estimates)).asnumpy()
    direction = np.random.default_rng(3).normal(size=estimates.shape).astype(np.float32)
    ends = [float(value(Tensor(estimates + step * direction)).asnumpy()) for step in (1e-2, -1e-2)]
    assert np.vdot(gradient, direction) == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-2, abs=1e-2)
    for start in (estimates, 0 * estimates, 1e4 * estimates):
        assert np.isfinite(ms.grad(value)(Tensor(start)).asnumpy()).all()
    assert float(value(Tensor(estimates - 0.003 * gradient)).asnumpy()) < float(value(Tensor(estimates)).asnumpy())

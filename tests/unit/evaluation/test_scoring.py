"""Rows of scores: which estimate serves which voice, every metric, and what has no score."""

import warnings

import numpy as np
import pytest

from src.data.corpora.subset import Skip
from src.data.loading.mixtures import Utterance
from src.evaluation.scored_data import Data, group_by_length
from src.evaluation.scoring import columns, score
from tests.helpers.synth import voice
from tests.unit.tasks.test_loss import si_snr

RATE = 8000


def utterance(seed, length, speakers=2, noise=0.0):
    """Voices, and a mixture that is not their sum where there is noise."""
    rng = np.random.default_rng(seed)
    sources = np.stack([voice(rng, length) for _ in range(speakers)])
    mixture = sources.sum(0) + noise * rng.normal(size=length)
    return Utterance(f"u{seed}", mixture.astype(np.float32), sources.astype(np.float32))


def data_of(items):
    return Data([i.id for i in items], [i.mixture.size for i in items],
                lambda order: ([items[i] for i in group] for group in order), {}, RATE, len(items[0].sources), "mix")


def leaky(items):
    """Estimates that are the sources in reverse order with a tenth of the mixture left in them."""
    return np.stack([(item.sources + 0.1 * item.mixture)[::-1] for item in items])


@pytest.mark.parametrize("speakers, noise", [(2, 0.0), (3, 0.01)])
def test_every_metric_for_every_voice(speakers, noise):
    from mir_eval.separation import bss_eval_sources
    from pesq import pesq
    from pystoi import stoi

    items = [utterance(seed, length, speakers, noise) for seed, length in ((1, 12000), (2, 9001))]
    scored = score(leaky, data_of(items), ["si_snr", "sdr", "pesq", "stoi"], num_workers=2)
    assert [row["id"] for row in scored.rows] == ["u1", "u2"] and not scored.skipped
    assert list(scored.rows[0]) == ["id", "seconds", *columns(["si_snr", "sdr", "pesq", "stoi"], speakers)]
    assert not any(scored.failures.values())
    for row, item, assignment in zip(scored.rows, items, scored.assignment):
        assert assignment.tolist() == list(range(speakers))[::-1]
        estimates = leaky([item])[0][::-1]
        mixtures = np.broadcast_to(item.mixture, item.sources.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sdr = [bss_eval_sources(item.sources, e, compute_permutation=False)[0] for e in (mixtures, estimates)]
        found = {"sdr": sdr, "si_snr": [], "pesq": [], "stoi": []}
        for signals in (mixtures, estimates):
            pairs = list(zip(item.sources, signals))
            found["si_snr"].append([si_snr(e, s) for s, e in pairs])
            found["pesq"].append([pesq(RATE, s, e, "nb") for s, e in pairs])
            found["stoi"].append([stoi(s, e, RATE) for s, e in pairs])
        for name, (before, after) in found.items():
            before, after = np.array(before), np.array(after)
            assert row[f"{name}_in"] == pytest.approx(before.mean(), abs=1e-3)
            assert row[name] == pytest.approx(after.mean(), abs=1e-3)
            assert row[f"{name}i"] == pytest.approx((after - before).mean(), abs=1e-3)
            for c in range(speakers):
                assert row[f"{name}_s{c + 1}"] == pytest.approx(after[c], abs=1e-3)
                assert row[f"{name}i_s{c + 1}"] == pytest.approx(after[c] - before[c], abs=1e-3)


def test_a_missing_score_is_counted_and_the_rest_goes_on():
    items = [utterance(1, 12000), utterance(2, 1500), utterance(3, 12000)]  # the second is too short for PESQ and STOI
    scored = score(leaky, data_of(items), ["si_snr", "sdr", "pesq", "stoi"], num_workers=1)
    assert scored.failures == {"sdr": {}, "pesq": {"shorter than 0.25 s": ["u2"]},
                               "stoi": {"less than 0.4 s of speech": ["u2"]}}
    assert np.isnan(scored.rows[1]["pesqi"]) and np.isfinite(scored.rows[1]["sdri"])
    assert all(np.isfinite(list(row.values())[1:]).all() for row in (scored.rows[0], scored.rows[2]))


def test_a_fault_in_a_metrics_program_costs_one_score(monkeypatch):
    """PESQ's reference program holds 50 stretches of speech and writes beyond its tables when there are more."""
    rng = np.random.default_rng(0)
    bursts = [np.concatenate([rng.normal(0, 0.1, 4000), 1e-5 * rng.normal(size=4000)]) for _ in range(90)]
    long = np.stack([np.concatenate(bursts), rng.normal(0, 0.05, 90 * 8000)]).astype(np.float32)
    items = [Utterance("long", long.sum(0), long), utterance(1, 6000)]
    scored = score(leaky, data_of(items), ["si_snr", "pesq", "stoi"], num_workers=1)
    assert scored.failures["pesq"] == {"the metric's program crashed": ["long"]}
    assert np.isnan(scored.rows[0]["pesq"]) and np.isfinite(scored.rows[0]["stoi"])
    assert np.isfinite(scored.rows[1]["pesq"])


def test_what_cannot_be_scored_at_all():
    silent = utterance(2, 3000)
    silent.sources[1] = 0

    def estimate(items):
        if items[0].id == "u3":
            raise Skip("no estimate", "u3 (no u3_s1.wav)")
        return leaky(items)

    scored = score(estimate, data_of([utterance(1, 4000), silent, utterance(3, 5000)]), ["si_snr"])
    assert [row["id"] for row in scored.rows] == ["u1"] and scored.index == [0]
    assert dict(scored.skipped) == {"silent source": ["u2"], "no estimate": ["u3 (no u3_s1.wav)"]}


def test_batches_have_one_length_and_rows_the_order_of_the_data():
    lengths = [3000, 4000, 3000, 5000, 3000, 4000]
    assert group_by_length(lengths, 2, 6) == [[0, 2], [1, 5], [3], [4]]
    items = [utterance(seed, length) for seed, length in enumerate(lengths)]
    one, four = (score(leaky, data_of(items), ["si_snr"], batch_size=size) for size in (1, 4))
    assert [row["id"] for row in four.rows] == [item.id for item in items] and four.index == list(range(6))
    for a, b in zip(one.rows, four.rows):
        assert a["si_snri"] == pytest.approx(b["si_snri"], abs=1e-4)
    assert len(score(leaky, data_of(items), ["si_snr"], limit=2).rows) == 2

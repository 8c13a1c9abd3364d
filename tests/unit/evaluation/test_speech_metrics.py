"""SDR, PESQ and STOI are what their libraries give, and a missing score costs nothing else."""

import importlib.util
import warnings

import numpy as np
import pytest
import soxr

from src.audio.files import read_mono
from src.core.errors import UserError
from src.evaluation.config import EvalConfig
from src.evaluation.speech_metrics import METRICS, chosen_metrics, pesq_mode, score_voices
from tests.helpers.synth import ROOT

TEST = ROOT / "samples" / "test"


def no_tick(count=1):
    pass


@pytest.fixture(scope="module")
def utterance():
    """A real mixture [T], its sources [2, T], and estimates that leave a third of the other voice, at 8 kHz."""
    name = sorted(path.name for path in (TEST / "mix_clean").iterdir())[3]
    mixture, *sources = (read_mono(TEST / folder / name)[0] for folder in ("mix_clean", "s1", "s2"))
    sources = np.stack(sources)
    return mixture, sources, (sources + 0.3 * sources[::-1]).astype(np.float32)


def scores(name, rate, mixture, sources, estimates):
    before, after, reasons = score_voices((name, rate, mixture, sources, estimates), no_tick)
    assert reasons == ["", ""]
    return before, after


def test_sdr_is_mir_evals_of_all_sources_together(utterance):
    from mir_eval.separation import bss_eval_sources

    mixture, sources, estimates = utterance
    before, after = scores("sdr", 8000, *utterance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, _, _, order = bss_eval_sources(sources, estimates)
        unprocessed = bss_eval_sources(sources, np.stack([mixture, mixture]), compute_permutation=False)[0]
    assert order.tolist() == [0, 1]
    assert after == pytest.approx(expected, abs=1e-8) and before == pytest.approx(unprocessed, abs=1e-8)


def test_pesq_is_the_librarys_narrow_band(utterance):
    from pesq import pesq

    mixture, sources, estimates = utterance
    before, after = scores("pesq", 8000, *utterance)
    assert after.tolist() == [pesq(8000, s, e, "nb") for s, e in zip(sources, estimates)]
    assert before.tolist() == [pesq(8000, s, mixture, "nb") for s in sources]
    assert (after > before + 0.1).all()


@pytest.mark.parametrize("rate, used, mode", [(16000, 16000, "wb"), (11025, 8000, "nb"), (44100, 16000, "wb")])
def test_pesq_at_other_rates(utterance, rate, used, mode):
    from pesq import pesq

    mixture, sources, estimates = ([soxr.resample(s, 8000, rate) for s in np.atleast_2d(part)] for part in utterance)
    before, after = scores("pesq", rate, mixture[0], sources, estimates)
    assert pesq_mode(rate) == (mode, used)
    for c, (source, estimate) in enumerate(zip(sources, estimates)):
        heard = [s if rate == used else soxr.resample(s, rate, used) for s in (source, estimate, mixture[0])]
        assert after[c] == pesq(used, heard[0], heard[1], mode) and before[c] == pesq(used, heard[0], heard[2], mode)


def test_pesq_needs_8_khz():
    with pytest.raises(UserError, match="6000 Hz, PESQ needs 8000 Hz"):
        pesq_mode(6000)


def test_stoi_is_pystois(utterance):
    from pystoi import stoi

    mixture, sources, estimates = utterance
    before, after = scores("stoi", 8000, *utterance)
    assert after.tolist() == [stoi(s, e, 8000) for s, e in zip(sources, estimates)]
    assert before.tolist() == [stoi(s, mixture, 8000) for s in sources]


@pytest.mark.parametrize("name, reason", [("sdr", "silent estimate"), ("pesq", "silent estimate")])
def test_a_silent_estimate_has_no_score_and_the_other_voice_has(utterance, name, reason):
    mixture, sources, estimates = utterance
    _, whole = scores(name, 8000, *utterance)
    before, after, reasons = score_voices((name, 8000, mixture, sources, estimates * [[0], [1]]), no_tick)
    assert reasons == [reason, ""] and np.isnan([before[0], after[0]]).all()
    assert after[1] == pytest.approx(whole[1], abs=1e-4)


def test_pesq_and_stoi_without_speech(utterance):
    mixture, sources, estimates = utterance
    silence = np.zeros_like(sources)
    assert score_voices(("pesq", 8000, mixture, silence, estimates), no_tick)[2] == ["no speech found"] * 2
    for samples, reason in ((1900, "shorter than 0.25 s"), (1, "shorter than 0.25 s")):
        short = [np.ascontiguousarray(part[..., 4000 : 4000 + samples]) for part in utterance]
        assert score_voices(("pesq", 8000, *short), no_tick)[2] == [reason] * 2
        _, after, reasons = score_voices(("stoi", 8000, *short), no_tick)
        assert reasons == ["less than 0.4 s of speech"] * 2 and np.isnan(after).all()


def test_whatever_a_library_raises_is_a_missing_score(utterance, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("in the library")

    monkeypatch.setitem(__import__("src.evaluation.speech_metrics", fromlist=["x"]).FUNCTIONS, "stoi", broken)
    assert score_voices(("stoi", 8000, *utterance), no_tick)[2] == ["ZeroDivisionError in the library"] * 2


def test_choice_of_metrics(monkeypatch):
    assert chosen_metrics(EvalConfig()) == ["si_snr"]
    assert chosen_metrics(EvalConfig(cal_sdr=True)) == ["si_snr", "sdr"]
    assert chosen_metrics(EvalConfig(metrics=" STOI,si_snr, sdr ", cal_sdr=True)) == ["si_snr", "sdr", "stoi"]
    assert chosen_metrics(EvalConfig(metrics="pesq,sdr,stoi")) == list(METRICS)
    with pytest.raises(UserError, match="--metrics pesk: unknown.*did you mean pesq"):
        chosen_metrics(EvalConfig(metrics="pesk"))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pesq" else find(name))
    with pytest.raises(UserError, match="pesq is not installed.*requirements-metrics.txt.*C compiler"):
        chosen_metrics(EvalConfig(metrics="pesq"))
    assert chosen_metrics(EvalConfig(metrics="stoi")) == ["si_snr", "stoi"]

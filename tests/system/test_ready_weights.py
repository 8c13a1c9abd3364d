"""The weights that ship: as good as their card says, and what every program takes where no model is named."""

import csv
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from soxr import resample

from src.weights import ready_models
from tests.helpers.synth import ROOT, run

READY_WEIGHTS = ready_models.default()
CARD, EVAL = READY_WEIGHTS.with_suffix(".md"), READY_WEIGHTS.with_name(f"{READY_WEIGHTS.stem}_eval")
TARGETS = {"dprnn_voices": 5.0, "dprnn_8k": 1.5}  # dB of SI-SNRi at least, on samples/test


def improvements(folder):
    with open(folder / "per_utterance.csv", newline="", encoding="utf-8") as file:
        return {row["id"]: float(row["si_snri"]) for row in csv.DictReader(file)}


def si_snr(estimate, source):
    """dB; Le Roux et al. 2019, written here anew."""
    estimate, source = estimate - estimate.mean(), source - source.mean()
    target = estimate @ source / (source @ source) * source
    return 10 * np.log10(target @ target / ((estimate - target) @ (estimate - target)))


@pytest.mark.parametrize("name", list(ready_models.read_list()["models"]))
def test_score_is_the_one_the_card_states(name, tmp_path):
    path = ready_models.find(name)
    result = run("eval.py", "--model_path", name, "--data_dir", ROOT / "samples" / "test", "--report", 0,
                 "--out_dir", tmp_path)
    assert result.returncode == 0, result.stderr
    stated_in = path.with_name(f"{name}_eval")
    found, stated = improvements(tmp_path), improvements(stated_in)
    assert len(found) == 40 and found == pytest.approx(stated, abs=0.02)
    mean = np.mean(list(found.values()))
    assert mean >= TARGETS[name]
    assert f"{mean:.2f} ±" in path.with_suffix(".md").read_text(encoding="utf-8")
    assert json.loads((stated_in / "metrics.json").read_text())["si_snri"] == pytest.approx(mean, abs=0.02)


def test_the_cpp_program_gives_the_same_score(tmp_path):
    """The whole chain: convert, separate a folder of many lengths in one process, score."""
    weights = ready_models.find("dprnn_voices")
    result = run("scripts/run_infer_310.sh", weights, ROOT / "samples" / "test", "y", cwd=tmp_path, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    found, stated = improvements(tmp_path), improvements(weights.with_name("dprnn_voices_eval"))
    assert len(found) == 40 and found == pytest.approx(stated, abs=0.15), "padded by a stride, written with 16 bits"
    assert np.mean(list(found.values())) == pytest.approx(np.mean(list(stated.values())), abs=0.01)
    assert f"Average SISNR improvement: {json.loads((tmp_path / 'metrics.json').read_text())['si_snri']:.2f}" \
        in result.stdout


def test_separate_takes_them_by_default_for_a_recording_of_any_kind(tmp_path):
    stated = improvements(EVAL)
    name = max(stated, key=stated.get)
    sources = [soundfile.read(ROOT / "samples" / "test" / part / f"{name}.flac")[0] for part in ("s1", "s2")]
    mixture, rate = soundfile.read(ROOT / "samples" / "test" / "mix_clean" / f"{name}.flac")
    soundfile.write(tmp_path / "talk.flac", np.stack([resample(mixture, rate, 44100)] * 2, 1), 44100, subtype="PCM_24")
    result = run("separate.py", "talk.flac", "--out_dir", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    voices = [soundfile.read(tmp_path / "out" / f"talk_s{c}.wav") for c in (1, 2)]
    assert [rate for _, rate in voices] == [44100, 44100]
    voices = [resample(samples, 44100, rate)[: len(mixture)] for samples, _ in voices]
    before = np.mean([si_snr(mixture, source) for source in sources])
    after, voices = max((np.mean([si_snr(voice, source) for voice, source in zip(order, sources)]), order)
                        for order in (voices, voices[::-1]))
    assert after - before == pytest.approx(stated[name], abs=0.3), "resampling costs little"
    assert np.corrcoef(sum(voices), mixture)[0, 1] > 0.95, "the voices are parts of the mixture"
    for voice, source in zip(voices, sources):
        assert voice @ source > 0, "the right way round"
        assert abs(20 * np.log10(voice.std() / source.std())) < 1.5, "about as loud as it was"


def test_files_that_ship():
    assert READY_WEIGHTS.stat().st_size <= 12 << 20
    card = CARD.read_text(encoding="utf-8")
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (CARD.parent / picture).is_file()
    for voice in ("allison", "carlo", "june", "ivrvoice", "paola"):
        assert voice in card


def test_the_page_shows_card_and_scores(tmp_path):
    performance = pytest.importorskip("src.service.performance")
    rows = (EVAL / "per_utterance.csv").read_text().splitlines()
    for name, kept in (("model_eval", rows[:11]), ("eval", rows)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text((EVAL / "metrics.json").read_text())
        (tmp_path / name / "per_utterance.csv").write_text("\n".join(kept))

    def view(path, eval_dir=""):
        model = SimpleNamespace(name=str(path), sample_rate=8000, num_spks=2, runtime="onnx",
                                config=SimpleNamespace())
        return performance.performance_view(model, eval_dir, None)

    shown = view(READY_WEIGHTS)
    assert shown["card"] == CARD.read_text(encoding="utf-8") and shown["evaluation"]["utterances"] == 40
    assert view(tmp_path / "model.ckpt")["evaluation"]["utterances"] == 10, "the model's own goes first"
    assert view(tmp_path / "other.ckpt")["evaluation"]["utterances"] == 40
    assert view(tmp_path / "other.ckpt", tmp_path / "model_eval")["evaluation"]["utterances"] == 10
    assert view(tmp_path / "deep" / "other.ckpt")["evaluation"] is None

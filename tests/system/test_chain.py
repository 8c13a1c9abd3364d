"""From a checkpoint to scores, MINDIR and separated wavs, through the root scripts."""

import csv
import json

import numpy as np
import pytest
import soundfile

from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from tests.helpers.synth import ROOT, TINY, run, write_subset


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A corpus and a model trained for a few steps on it."""
    root = tmp_path_factory.mktemp("chain")
    write_subset(root / "c" / "train", 4, lengths=(4000, 8000))
    write_subset(root / "c" / "test", 6, seed=1, lengths=(900, 5000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data")))
    result = run("train.py", "--train_dir", root / "data" / "train", "--valid_dir", "", "--save_folder", root / "m",
                 *TINY, "--max_steps", 4)
    assert result.returncode == 0, result.stderr
    result = run("export.py", "--ckpt_path", root / "m" / "best.ckpt", "--device_target", "CPU")
    assert result.returncode == 0, result.stderr
    return root


def score(work, tmp_path, name, model, data, *more):
    result = run("eval.py", "--model_path", work / "m" / model, "--data_dir", work / data, "--out_dir",
                 tmp_path / name, *more)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / name / "metrics.json").read_text())
    with open(tmp_path / name / "per_utterance.csv", newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert f"Average SISNR improvement: {metrics['si_snri']:.2f}" in result.stdout
    assert np.mean([float(r["si_snri"]) for r in rows.values()]) == pytest.approx(metrics["si_snri"], abs=1e-3)
    return metrics, rows


def test_one_score_however_it_is_computed(work, tmp_path):
    metrics, rows = score(work, tmp_path, "records", "best.ckpt", "data/test", "--cal_sdr", 1)
    assert metrics["utterances"] == 6 and len(rows) == 6 and np.isfinite(metrics["sdri"])
    for name, model, data, more in (("tree", "best.ckpt", "c/test", []), ("mindir", "best.mindir", "c/test", []),
                                    ("batched", "best.ckpt", "data/test", ["--batch_size", 4])):
        other, others = score(work, tmp_path, name, model, data, *more)
        assert other["si_snri"] == pytest.approx(metrics["si_snri"], abs=1e-3)
        assert {k: v["si_snr"] for k, v in others.items()} == pytest.approx(
            {k: v["si_snr"] for k, v in rows.items()}) or all(
            float(others[k]["si_snr"]) == pytest.approx(float(rows[k]["si_snr"]), abs=1e-3) for k in rows)


def test_a_tree_with_bad_files_is_scored_without_them_and_says_so(work, tmp_path):
    folder = write_subset(tmp_path / "tree", 4)
    (folder / "s1" / "utt0000.wav").unlink()
    silent = soundfile.read(folder / "s2" / "utt0001.wav")[0] * 0
    soundfile.write(folder / "s2" / "utt0001.wav", silent, 8000)
    result = run("eval.py", "--model_path", work / "m" / "best.ckpt", "--data_dir", folder, "--out_dir", tmp_path / "e")
    assert result.returncode == 0, result.stderr
    assert "not scored: 1, missing mate" in result.stdout and "not scored: 1, silent source" in result.stdout
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["utterances"] == 2


def test_eval_script(work, tmp_path):
    for wrong in ([], ["0", "x"], ["a", "b", "c"]):
        result = run("scripts/run_eval.sh", *wrong, cwd=tmp_path)
        assert result.returncode == 1 and "Usage" in result.stdout
    result = run("scripts/run_eval.sh", 0, work / "m" / "best.ckpt", work / "data" / "test", cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "Average SISNR improvement:" in (tmp_path / "eval.log").read_text()


@pytest.mark.parametrize("model", ["best.ckpt", "best.mindir"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_separate(work, tmp_path, model, suffix):
    source = soundfile.read(sorted((work / "c" / "test" / "mix_clean").iterdir())[0])[0]
    path = tmp_path / f"talk{suffix}"
    soundfile.write(path, source, 8000)
    result = run("separate.py", path, "--model_path", work / "m" / model, "--out_dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    voices = []
    for c in (1, 2):
        samples, rate = soundfile.read(tmp_path / "out" / f"talk_s{c}.wav")
        assert rate == 8000 and len(samples) == len(source)
        voices.append(samples)
    assert np.abs(np.array(voices)).max() < 1
    total = sum(voices)
    gain = total @ source / (total @ total)
    assert 0.95 < gain < 1.05, "one gain fits the sum to the mixture"
    again = run("separate.py", path, "--model_path", work / "m" / model, "--out_dir", tmp_path / "out")
    assert again.returncode == 0 and "1 skipped: their outputs exist (--overwrite" in again.stdout, again.stderr


def test_fixed_length_export(work, tmp_path):
    result = run("export.py", "--ckpt_path", work / "m" / "best.ckpt", "--static_length", 0.5, "--file_name",
                 tmp_path / "half.mindir")
    assert result.returncode == 0, result.stderr
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    result = run("separate.py", tmp_path / "long.wav", "--model_path", tmp_path / "half.mindir", "--out_dir", tmp_path)
    assert result.returncode == 0, result.stderr
    assert soundfile.info(tmp_path / "long_s1.wav").frames == 8000


def test_help_is_instant_and_complete():
    for script in ("preprocess.py", "train.py", "eval.py", "export.py", "separate.py"):
        result = run(script, "--help", timeout=10)
        assert result.returncode == 0 and "--config_path" in result.stdout
    assert "--bn_channels" in run("train.py", "--help").stdout
    assert ROOT.joinpath("README.md").exists()

"""eval.py with every metric, as a user runs it: figures of the libraries, comparison, report."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.core.errors import UserError
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.evaluation.config import EvalConfig
from src.evaluation.evaluate import evaluate as run_evaluation
from src.evaluation.result_files import read_results
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.weights import checkpoint
from tests.helpers.synth import ROOT, assert_one_line_error, run, voice

IDS = ["ann-1_bob-1", "bob-2_eve-1", "eve-2_ann-2", "ann-3_bob-3", "bob-4_eve-3"]


def write_noisy(folder, ids, num_spks=2, rate=8000, seed=0):
    """Mixtures of unequal length with noise, so that the sources do not sum to the mixture."""
    rng = np.random.default_rng(seed)
    for i, name in enumerate(ids):
        length = rate + 777 * i
        sources = [voice(rng, length, rate) for _ in range(num_spks)]
        signals = {"mix_both": sum(sources) + rng.normal(0, 0.02, length),
                   **{f"s{c + 1}": s for c, s in enumerate(sources)}}
        for part, samples in signals.items():
            (folder / part).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / part / f"{name}.wav", samples, rate)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Two untrained models, one for three speakers, and noisy mixtures as wavs and as records."""
    root = tmp_path_factory.mktemp("evaluation")
    small = dict(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=1)
    for name, speakers in (("a", 2), ("b", 2), ("three", 3)):
        checkpoint.save(root / f"{name}.ckpt", DPRNNTasNet(ModelConfig(num_spks=speakers, **small)), {})
    write_noisy(root / "c" / "test", IDS)
    write_noisy(root / "t" / "test", [f"{name}_zoe-1" for name in IDS[:3]], num_spks=3)
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data"), task="sep_noisy"))
    return root


def evaluate(here, out_dir, *flags, script="eval.py"):
    result = run(script, *flags, "--out_dir", out_dir, cwd=here)
    assert result.returncode == 0, result.stderr
    with open(out_dir / "per_utterance.csv", newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    return result.stdout, json.loads((out_dir / "metrics.json").read_text()), rows


def test_figures_are_those_of_the_libraries(here, tmp_path):
    from pesq import pesq
    from pystoi import stoi

    rng = np.random.default_rng(5)
    for name in IDS:  # estimates in the other order
        for c, other in ((1, 2), (2, 1)):
            source = soundfile.read(here / "c" / "test" / f"s{other}" / f"{name}.wav")[0]
            soundfile.write(tmp_path / f"{name}_s{c}.wav", source + rng.normal(0, 0.01, source.size), 8000)
    soundfile.write(tmp_path / f"{IDS[4]}_s1.wav", np.zeros(source.size), 8000)  # one silent estimate
    text, metrics, rows = evaluate(here, tmp_path / "out", "--estimates_dir", tmp_path, "--data_dir", "c/test",
                                   "--metrics", "si_snr,sdr,pesq,stoi")
    assert metrics["mixture"] == "mix_both" and metrics["pesq_mode"] == "nb" and metrics["utterances"] == 5
    for name in IDS[:4]:
        read = {part: soundfile.read(path)[0].astype(np.float32) for part, path in (
            ("s1", here / "c/test/s1" / f"{name}.wav"), ("mix", here / "c/test/mix_both" / f"{name}.wav"),
            ("e1", tmp_path / f"{name}_s2.wav"))}
        for metric, score in (("pesq", lambda s, e: pesq(8000, s, e, "nb")), ("stoi", lambda s, e: stoi(s, e, 8000))):
            after, before = score(read["s1"], read["e1"]), score(read["s1"], read["mix"])
            assert float(rows[name][f"{metric}_s1"]) == pytest.approx(after, abs=1e-4)
            assert float(rows[name][f"{metric}i_s1"]) == pytest.approx(after - before, abs=1e-4)
    assert f"no PESQ: 1 of 5 utterances, silent estimate: {IDS[4]}" in text and "no SDR: 1 of 5" in text
    assert metrics["failures"]["pesq"] == {"silent estimate": 1} and metrics["scored"]["stoi"] == 5
    assert rows[IDS[4]]["pesq"] == "" and rows[IDS[4]]["pesq_s1"] != "", "the other voice has a score"
    low, high = metrics["ci95"]["pesqi"]
    assert low < metrics["pesqi"] < high and metrics["pesqi"] == pytest.approx(
        np.mean([float(rows[name]["pesqi"]) for name in IDS[:4]]), abs=1e-4)
    assert [group["by"] for group in metrics["groups"]] == ["speaker"]
    assert set(metrics["groups"][0]["rows"]) == {"ann", "bob", "eve"}
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1</b> utterances without PESQ: silent estimate" in report


def test_two_models(here, tmp_path):
    _, metrics, rows = evaluate(here, tmp_path / "a", "--model_path", "a.ckpt", "--data_dir", "data/test", "--metrics",
                                "stoi", "--compare_with", "b.ckpt")
    found = metrics["comparison"]["metrics"]
    assert list(found) == ["si_snr", "stoi"] and "Against another model" in (tmp_path / "a" / "report.html").read_text()

    def config(name, **changes):
        return EvalConfig(model_path=str(here / f"{name}.ckpt"), data_dir=str(here / "data/test"), metrics="stoi",
                          report=False, **changes)

    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "report.html").write_text("of other results")
    other = run_evaluation(config("b", out_dir=str(tmp_path / "b")))
    assert not (tmp_path / "b" / "report.html").exists()
    others, _ = read_results(tmp_path / "b")
    kept, stored = read_results(tmp_path / "a" / "compared_with")
    assert kept == others and stored["stoii"] == other["stoii"]
    gap = [float(rows[row["id"]]["si_snr"]) - row["si_snr"] for row in others]
    assert found["si_snr"]["difference"] == pytest.approx(np.mean(gap), abs=1e-3)
    assert found["si_snr"]["wins"] == sum(g > 0 for g in gap)
    # the same against the files of the earlier evaluation
    again = run_evaluation(config("a", out_dir=str(tmp_path / "c"), compare_with=str(tmp_path / "b")))
    assert again["comparison"]["metrics"]["stoi"]["difference"] == pytest.approx(found["stoi"]["difference"], abs=1e-4)
    # of which some are not among those scored now
    for changes, words in ((dict(compare_with=str(tmp_path / "b"), max_utterances=3), "same utterances: 2 of its 5"),
                           (dict(compare_with=str(here / "three.ckpt")), "three.ckpt: has num_spks 3, the data 2")):
        with pytest.raises(UserError, match=words):
            run_evaluation(config("a", out_dir=str(tmp_path / "d"), **changes))
    assert not (tmp_path / "d").exists()


def test_three_speakers_through_the_script(here, tmp_path):
    result = run("scripts/run_eval.sh", 0, here / "three.ckpt", here / "t" / "test", "--metrics",
                 "si_snr,sdr,pesq,stoi", "--out_dir", tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    with open(tmp_path / "out" / "per_utterance.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 and all(row[f"pesqi_s{c}"] and row[f"sdri_s{c}"] for row in rows for c in (1, 2, 3))
    log = (tmp_path / "eval.log").read_text()
    assert log.rstrip().endswith(f"Average SISNR improvement: {metrics['si_snri']:.2f}")
    assert f"Average SDR improvement: {metrics['sdri']:.2f}" in log and "±" in log
    assert "voice 3, estimate" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_groups_by_a_column(here, tmp_path):
    (tmp_path / "m.csv").write_text("mixture_ID,room\n" + "".join(f"{name},{'hall' if i % 2 else 'car'}\n"
                                                                   for i, name in enumerate(IDS)))
    flags = dict(model_path=str(here / "a.ckpt"), out_dir=str(tmp_path / "out"))
    metrics = run_evaluation(EvalConfig(data_dir=str(here / "c/test"), groups=str(tmp_path / "m.csv"), group_by="room",
                                        **flags))
    (group,) = metrics["groups"]
    assert group["by"] == "room" and {k: v["utterances"] for k, v in group["rows"].items()} == {"car": 3, "hall": 2}
    with pytest.raises(UserError, match="made with task sep_noisy"):
        run_evaluation(EvalConfig(data_dir=str(here / "data/test"), task="sep_clean", **flags))


def test_pesq_below_8_khz_is_refused_before_any_work(here, tmp_path):
    write_noisy(tmp_path / "low", IDS[:1], rate=6000)
    for name in ("s1", "s2"):
        (tmp_path / f"{IDS[0]}_{name}.wav").write_bytes((tmp_path / "low" / name / f"{IDS[0]}.wav").read_bytes())
    result = run("eval.py", "--estimates_dir", tmp_path, "--data_dir", tmp_path / "low", "--metrics", "pesq")
    assert_one_line_error(result, "6000 Hz, PESQ needs 8000 Hz")


def test_ctrl_c_leaves_nothing(here, tmp_path):
    process = subprocess.Popen([sys.executable, ROOT / "eval.py", "--model_path", "a.ckpt", "--data_dir", "c/test",
                                "--metrics", "sdr,stoi", "--num_workers", "2", "--out_dir", tmp_path / "out"],
                               cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    workers = []
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        workers = [int(word) for word in children.read_text().split() if b"spawn_main" in command(word)]
    assert len(workers) == 2, process.communicate()
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.strip() == "interrupted", (process.returncode, errors)
    assert not (tmp_path / "out").exists()
    assert not any(b"spawn_main" in command(worker) for worker in workers)


def command(pid):
    """The command line of a process, empty where there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

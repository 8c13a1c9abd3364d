"""One trained model in every runtime: the same voices, the same score."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from src.export.lite import convert
from src.separation.separate_file import output_paths, separate_file
from src.separation.separator import Separator, run_whole
from src.weights.trained_model import load_model
from tests.helpers.cpp_program import build
from tests.helpers.synth import ROOT, TINY, assert_one_line_error, run

MIXTURES = 6


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Held-out mixtures of real voices and a model trained for a few steps, as checkpoint, MINDIR and ONNX."""
    build()
    root = tmp_path_factory.mktemp("runtimes")
    for name in sorted(p.name for p in (ROOT / "samples" / "test" / "mix_clean").iterdir())[:MIXTURES]:
        for part in ("mix_clean", "s1", "s2"):
            target = root / "test" / part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / "samples" / "test" / part / name)
    for command in (
        ["preprocess.py", "--in_dir", root / "test", "--out_dir", root / "data"],
        ["train.py", "--train_dir", root / "data" / "test", "--valid_dir", "", "--save_folder", root / "m", *TINY,
         "--num_layers", 2, "--max_steps", 30],
        ["export.py", "--ckpt_path", root / "m" / "last.ckpt", "--file_name", root / "m.mindir"],
        ["export.py", "--ckpt_path", root / "m.mindir", "--file_format", "ONNX", "--file_name", root / "m.onnx"],
    ):
        result = run(*command)
        assert result.returncode == 0, result.stderr
    return root


def infer(work, cwd, *args, **environment):
    return run("scripts/run_infer_310.sh", *args, cwd=cwd, env=environment)


def score(text):
    (line,) = [line for line in text.splitlines() if line.startswith("Average SISNR improvement:")]
    return float(line.split(":")[1])


def test_all_runtimes_agree(work, tmp_path):
    kinds = (("m/last.ckpt", "mindspore"), ("m.mindir", "auto"), ("m.onnx", "auto"), ("m/last.ckpt", "onnx"))
    models = [load_model(work / name, runtime) for name, runtime in kinds]
    assert [model.runtime for model in models] == ["mindspore", "mindspore", "onnx", "onnx"]
    scores, means = [], []
    for name, runtime in kinds:
        result = run("eval.py", "--model_path", work / name, "--data_dir", work / "test", "--runtime", runtime,
                     "--out_dir", tmp_path / name / runtime)
        assert result.returncode == 0, result.stderr
        scores.append(score(result.stdout))
        means.append(json.loads((tmp_path / name / runtime / "metrics.json").read_text())["si_snri"])
    assert max(means) - min(means) <= 0.002, means
    result = infer(work, tmp_path, work / "m.mindir", work / "test", "y")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.rstrip().splitlines()[-1].startswith("Average SISNR improvement:")
    scores.append(score(result.stdout))
    assert max(scores) - min(scores) <= 0.011, scores  # printed with two digits
    assert abs(json.loads((tmp_path / "metrics.json").read_text())["si_snri"] - means[0]) <= 0.01

    for path in sorted((work / "test" / "mix_clean").iterdir()):
        mixture = soundfile.read(path, dtype="float32")[0]
        estimates = [run_whole(model, mixture) for model in models]
        assert max(np.abs(estimate - estimates[0]).max() for estimate in estimates) <= 1e-4
        separate_file(Separator(models[0]), path, output_paths(path, tmp_path / "python", 2))
        for c in (1, 2):
            python, program = (soundfile.read(tmp_path / folder / f"{path.stem}_s{c}.wav", dtype="int16")[0].astype(int)
                               for folder in ("python", "result_Files"))
            assert np.abs(python - program).max() <= 1, "steps of 16 bits"
    for log in ("build.log", "infer.log", "acc.log"):
        assert (tmp_path / log).stat().st_size > 0
    assert "real-time factor" in (tmp_path / "infer.log").read_text()

    again = infer(work, tmp_path, work / "m.mindir", work / "nothing", "n")  # what was collected and converted serves
    assert again.returncode == 0 and score(again.stdout) == scores[-1]
    assert "C++ program differs" not in again.stdout, "converted once"


def test_separate_on_a_cpu_loads_neither_mindspore_nor_anything_else_slow(tmp_path):
    """A start with the graph in the cache; the first one also needs onnx, which writes graphs."""
    sample = sorted((ROOT / "samples" / "test" / "mix_clean").iterdir())[0]
    program = ("import sys; sys.path.insert(0, '.'); import separate; separate.main(sys.argv[1:]); "
               "print(*sorted({name.split('.')[0] for name in sys.modules}))")
    loaded = []
    for attempt in ("first", "second"):
        done = subprocess.run([sys.executable, "-c", program, sample, "--out_dir", tmp_path / attempt,
                               "--device_target", "CPU"], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        loaded.append(set(done.stdout.splitlines()[-1].split()))
        assert len(list((tmp_path / attempt).iterdir())) == 2
    slow = {"mindspore", "scipy", "librosa", "matplotlib", "tqdm"}
    assert not loaded[0] & slow and not loaded[1] & (slow | {"onnx", "google"})
    assert loaded[1] >= {"onnxruntime", "numpy", "soundfile", "soxr"}


def test_the_two_runtimes_give_the_ready_weights_the_same_scores(tmp_path):
    means = {}
    for runtime in ("onnx", "mindspore"):
        result = run("eval.py", "--model_path", "dprnn_voices", "--data_dir", ROOT / "samples" / "test", "--runtime",
                     runtime, "--report", 0, "--max_utterances", 6, "--out_dir", tmp_path / runtime)
        assert result.returncode == 0, result.stderr
        means[runtime] = json.loads((tmp_path / runtime / "metrics.json").read_text())["si_snri"]
    assert abs(means["onnx"] - means["mindspore"]) < 0.01 and means["onnx"] > 3


def test_two_windows_at_a_time_change_nothing(tmp_path):
    names = sorted((ROOT / "samples" / "test" / "mix_clean").iterdir())[:12]
    talk = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in names])
    separator = Separator(load_model(None, "onnx"), window=4, overlap=1)
    found = separator.separate(talk, 8000)
    separator.lanes = 1
    assert talk.size > 20 * 8000 and np.array_equal(separator.separate(talk, 8000), found)


def test_fixed_length_model_in_windows(work, tmp_path):
    result = run("export.py", "--ckpt_path", work / "m" / "last.ckpt", "--file_format", "MINDIR_LITE", "--file_name",
                 tmp_path / "fixed", "--static_length", 1, "--device_target", "CPU")
    assert result.returncode == 0 and "at most" in result.stdout, result.stderr
    assert (tmp_path / "fixed.mindir").exists()
    result = infer(work, tmp_path, tmp_path / "fixed.mindir", work / "test", "y")
    assert result.returncode == 0, result.stdout + result.stderr
    assert np.isfinite(score(result.stdout))
    assert not (tmp_path / "infer_model").exists(), "it is a Lite model already"


def test_wrong_words_and_files(work, tmp_path):
    good = [work / "m.mindir", work / "test", "y"]
    for words in ([], good[:2], [*good, "x"], [good[0], good[1], "maybe"], [*good, 0, 1]):
        result = infer(work, tmp_path, *words)
        assert result.returncode == 1 and "Usage" in result.stdout
    assert_one_line_error(infer(work, tmp_path, work / "none.mindir", work / "test", "y"), "none.mindir", "no such")
    assert_one_line_error(infer(work, tmp_path, work / "m.mindir", work / "none", "y"), "none", "no such folder")
    assert_one_line_error(infer(work, tmp_path, *good[:2], "n"), "NEED_PREPROCESS y")
    assert_one_line_error(infer(work, tmp_path, *good, DEVICE_TARGET="GPU"), "DEVICE_TARGET=GPU")
    broken = tmp_path / "broken.mindir"
    broken.write_bytes((work / "m.mindir").read_bytes()[:-100])
    (tmp_path / "broken.meta.json").write_text((work / "m.meta.json").read_text())
    assert_one_line_error(infer(work, tmp_path, broken, work / "test", "y"), "checksum")
    assert not (tmp_path / "result_Files").exists() and not (tmp_path / "metrics.json").exists()


def test_lite_refuses_what_it_cannot_convert(tmp_path):
    build()
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    with pytest.raises(Exception, match="cannot convert"):
        convert(tmp_path / "x.onnx", tmp_path / "x.mindir", "CPU")
    assert [p.name for p in tmp_path.iterdir()] == ["x.onnx"]


def test_scores_of_files_that_do_not_fit(work, tmp_path):
    for name, samples in (("short", 100), ("whole", None)):
        (tmp_path / name).mkdir()
        for path in sorted((work / "test" / "s1").iterdir())[:2]:
            for c in (1, 2):
                voice, rate = soundfile.read(work / "test" / f"s{c}" / path.name)
                soundfile.write(tmp_path / name / f"{path.stem}_s{3 - c}.wav", voice[:samples], rate)
    result = run("eval.py", "--estimates_dir", tmp_path / "whole", "--data_dir", work / "test")
    assert result.returncode == 0 and score(result.stdout) > 60, "the sources themselves, in another order"
    assert f"not scored: {MIXTURES - 2}, no estimate" in result.stdout
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert metrics["utterances"] == 2 and metrics["estimates_dir"] == str(tmp_path / "whole")
    result = run("eval.py", "--estimates_dir", tmp_path / "short", "--data_dir", work / "test")
    assert_one_line_error(result, "no utterance could be scored", "estimate of other length")
    result = run("eval.py", "--estimates_dir", tmp_path / "none", "--data_dir", work / "test")
    assert_one_line_error(result, "--estimates_dir", "no such folder")
    both = ["--estimates_dir", tmp_path / "whole", "--model_path", work / "m.mindir", "--data_dir", work / "test"]
    assert_one_line_error(run("eval.py", *both), "give one of them")

"""The image's entry points `train` and `serve` below a root of their own, as the platform starts them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers.synth import ROOT, voice, write_subset

httpx = pytest.importorskip("httpx", reason="requirements-dev.txt")
pytest.importorskip("fastapi", reason="serve.py needs requirements-serve.txt")

TINY = dict(in_channels=8, out_channels=8, bn_channels=8, hidden_channels=8, kernel_size=8, K=20, num_layers=1,
            segment=0.5, batch_size=2, schedule='"constant"', device_target="CPU", sample_rate=16000)


def start(entry, root, **environment):
    return subprocess.Popen(["bash", str(ROOT / "scripts" / "container" / entry)], cwd=root, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, "DPRNN_ML_ROOT": str(root), "PYTHON": sys.executable, **environment})


def train(root, **settings):
    config = root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps({name: str(value) for name, value in settings.items()}))
    process = start("train", root)
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


@contextlib.contextmanager
def served(root):
    process = start("serve", root, SAGEMAKER_BIND_TO_PORT="0", DPRNN_SERVE="--host 127.0.0.1 --device_target CPU")
    try:
        for line in process.stdout:
            if line.startswith("listening on "):
                break
        address, end = line.split()[-1], time.monotonic() + 120
        while httpx.get(f"{address}/ping", timeout=60).status_code != 200:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_train_serve_invoke(tmp_path):
    write_subset(tmp_path / "input" / "data" / "training", 20, lengths=(8000, 12000), rate=16000)
    status, output = train(tmp_path, **TINY, epochs=2, lr='"1e-3"', sagemaker_program='"x"')
    assert status == 0, output
    assert "2 mixtures of training are held out" in output and "trained from scratch" in output
    assert not (tmp_path / "output").exists()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.ckpt", "config.yaml", "train_log.csv",
                                                                     "training_curve.png"}
    assert (tmp_path / "model" / "model.ckpt").read_bytes() == (
        tmp_path / "checkpoints" / "dprnn" / "best.ckpt").read_bytes(), "the best, not the last"

    row = voice(np.random.default_rng(0), 16000, 16000).tolist()
    with served(tmp_path) as address:
        reply = httpx.post(f"{address}/invocations", content=str({"data": [row]}), timeout=60,
                           headers={"content-type": "application/json"})
        assert np.shape(reply.json()["response"]) == (1, 2, 16000)
        assert httpx.get(f"{address}/v1/models").json()["models"][0]["sample_rate"] == 16000, "the rate travels"

    # fine-tuning starts from a model of its own channel, at that model's rate
    base = tmp_path / "input" / "data" / "model" / "base.ckpt"
    base.parent.mkdir()
    shutil.copy(tmp_path / "model" / "model.ckpt", base)
    second = tmp_path / "second"
    (second / "input").mkdir(parents=True)
    write_subset(second / "input" / "data" / "training", 4, lengths=(8000, 12000), rate=8000)
    write_subset(second / "input" / "data" / "validation", 2, seed=1, lengths=(8000, 12000), rate=8000)
    status, output = train(second, init_from=base, epochs=1, segment=0.5, device_target="CPU")
    assert status == 0, output
    assert "tr: 4 of 4 mixtures resampled to 16000 Hz" in output and "fine-tuned from base.ckpt" in output


@pytest.mark.parametrize("settings, words", [
    (dict(epoch=3), "unknown hyperparameter 'epoch'; did you mean epochs"),
    (dict(init_from="none.ckpt"), "none.ckpt: no such checkpoint"),
    (dict(TINY, init_from="none"), "no such channel; the data to train on comes as the channel training")])
def test_failures_are_told(tmp_path, settings, words):
    status, output = train(tmp_path, **settings)
    assert status == 255 and "Traceback" not in output, output
    assert words in (tmp_path / "output" / "failure").read_text()
    assert not (tmp_path / "model").exists()


@pytest.mark.long
def test_stopped_early_there_is_a_model(tmp_path):
    write_subset(tmp_path / "input" / "data" / "training", 12, lengths=(8000, 12000), rate=8000)
    (tmp_path / "input" / "config").mkdir()
    settings = {**TINY, "sample_rate": 8000, "epochs": 100000, "log_every": 1}
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text(json.dumps(settings))
    process = start("train", tmp_path)
    end = time.monotonic() + 200
    while not (tmp_path / "checkpoints" / "dprnn" / "best.ckpt").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=100)[0]
    assert process.returncode == 0 and "stopped early: the best checkpoint is" in output, output
    assert (tmp_path / "model" / "model.ckpt").is_file()

    # a job that begins again goes on
    begun = int(output.split("interrupted at step ")[1].split(";")[0])
    status, output = train(tmp_path, **{**settings, "max_steps": begun + 2})
    assert status == 0 and f"done: {begun + 2} steps" in output and "step 1," not in output, output

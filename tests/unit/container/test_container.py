"""What a training container reads: settings, channels, where it starts from."""

import json

import numpy as np
import pytest

from src.audio.files import probe, write_wav
from src.container import data_channel as channel
from src.container import sagemaker as container
from src.core.errors import UserError
from tests.helpers.synth import voice


def settings(tmp_path, **words):
    path = tmp_path / "hyperparameters.json"
    path.write_text(json.dumps(words))
    return container.read_settings(path)


def test_settings_are_text_and_checked(tmp_path):
    values, recipe, start = settings(tmp_path, epochs="3", lr='"1e-4"', optimizer='"adam"', recipe="dprnn_demo",
                                     sagemaker_region='"eu"', **{"batch-size": "2"}, dynamic_mixing="false")
    assert values == {"epochs": 3, "lr": 1e-4, "optimizer": "adam", "batch_size": 2, "dynamic_mixing": False}
    assert (recipe, start) == ("dprnn_demo", "")
    assert container.read_settings(tmp_path / "none.json") == ({}, "", "")
    assert settings(tmp_path, checkpoint="a.ckpt") == ({}, "", "a.ckpt"), "by the names that train.py knows"
    for words, match in ((dict(epoch="3"), "unknown hyperparameter 'epoch'; did you mean epochs"),
                         (dict(epochs="many"), "epochs must be a whole number"), (dict(save_folder="/"), "unknown")):
        with pytest.raises(UserError, match=match):
            settings(tmp_path, **words)
    (tmp_path / "hyperparameters.json").write_text("[1]")
    with pytest.raises(UserError, match="expected an object"):
        container.read_settings(tmp_path / "hyperparameters.json")


def test_fine_tuning_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(container.ready_models, "default", lambda: tmp_path / "ready.ckpt")
    assert container.starting_point("", "", {}) is None, "no ready weights here"
    (tmp_path / "ready.ckpt").touch()
    assert container.starting_point("", "", {"lr": 1e-3, "num_spks": 3}) == tmp_path / "ready.ckpt"
    assert container.starting_point("", "", {"kernel_size": 16}) is None, "another architecture"
    assert container.starting_point("", "dprnn_fast", {}) is None
    assert container.starting_point("none", "", {}) is None
    assert str(container.starting_point("/opt/ml/input/data/model/x.ckpt", "", {})).endswith("x.ckpt")


def mixtures(folder, count, rate=8000, names=("mix_clean", "s1", "s2")):
    rng = np.random.default_rng(0)
    for i in range(count):
        sources = [0.3 * voice(rng, rate // 2, rate) for _ in names[1:]]
        for name, samples in zip(names, [sum(sources), *sources]):
            write_wav(folder / name / f"m{i:02d}.wav", samples, rate)


def test_a_tree_at_the_root_or_below(tmp_path):
    mixtures(tmp_path / "a", 3)
    mixtures(tmp_path / "b" / "train-100", 2)
    for folder, count in ((tmp_path / "a", 3), (tmp_path / "b", 2)):
        found, broken = channel.find_mixtures(folder)
        assert [m.id for m in found] == [f"m{i:02d}" for i in range(count)] and not broken
    mixtures(tmp_path / "b" / "dev", 2)
    with pytest.raises(UserError, match="holds dev, train-100; give one subset a channel"):
        channel.find_mixtures(tmp_path / "b")
    (tmp_path / "a" / "s2" / "m01.wav").unlink()
    found, broken = channel.find_mixtures(tmp_path / "a")
    assert len(found) == 2 and list(broken) == ["missing mate"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds neither a mixture folder"):
        channel.find_mixtures(tmp_path / "empty")


def test_lists_of_wham(tmp_path):
    mixtures(tmp_path, 3, names=("mix_both", "s1", "s2"))
    for name in ("mix_both", "s1", "s2"):
        rows = [[f"/opt/ml/input/data/training/{name}/m{i:02d}.wav", 4000] for i in range(3)]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    found, _ = channel.find_mixtures(tmp_path)
    assert [m.id for m in found] == ["000000_m00", "000001_m01", "000002_m02"]
    assert found[2].source_paths == (tmp_path / "s1" / "m02.wav", tmp_path / "s2" / "m02.wav")
    (tmp_path / "s2.json").write_text(json.dumps(rows[:2]))
    with pytest.raises(UserError, match="lists of different length"):
        channel.find_mixtures(tmp_path)
    (tmp_path / "s2.json").write_text(json.dumps([["gone.wav", 3]]))
    with pytest.raises(UserError, match="a list names gone.wav, which is not there"):
        channel.find_mixtures(tmp_path)
    (tmp_path / "s2.json").write_text("{")
    with pytest.raises(UserError, match="s2.json: expected a list"):
        channel.find_mixtures(tmp_path)


def test_every_tenth_is_held_out():
    assert channel.split(list(range(9))) == (list(range(9)), [])
    kept, held = channel.split(list(range(25)))
    assert held == [9, 19] and sorted(kept + held) == list(range(25))


def test_other_rates_are_resampled_and_bad_files_left_to_preprocess(tmp_path):
    mixtures(tmp_path / "in", 3, 16000)
    (tmp_path / "in" / "mix_clean" / "m01.wav").write_bytes(b"no wav")
    found, _ = channel.find_mixtures(tmp_path / "in")
    assert channel.write_tree(found, tmp_path / "out", 8000) == 2
    info = probe(tmp_path / "out" / "s2" / "m00.wav")
    assert (info.sample_rate, info.frames) == (8000, 4000)
    assert (tmp_path / "out" / "mix" / "m01.wav").is_symlink()
    assert channel.write_tree(found[:1], tmp_path / "same", 16000) == 0
    assert (tmp_path / "same" / "mix" / "m00.wav").resolve() == (tmp_path / "in" / "mix_clean" / "m00.wav").resolve()


def test_what_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr(container.ready_models, "default", lambda: tmp_path / "ready.ckpt")
    folders = container.Folders(tmp_path)
    with pytest.raises(UserError, match="no model there"):
        container.serve_command(folders, {})
    (tmp_path / "ready.ckpt").touch()
    assert str(tmp_path / "ready.ckpt") in container.serve_command(folders, {})
    folders.model.mkdir()
    for name in ("x.onnx", "model.ckpt", "a.ckpt"):
        (folders.model / name).touch()
    words = container.serve_command(folders, {"MODEL_SERVER_WORKERS": "3", "SAGEMAKER_BIND_TO_PORT": "9000",
                                              "DPRNN_SERVE": "--max_seconds 60"})
    assert str(folders.model / "model.ckpt") in words and words[-2:] == ["--max_seconds", "60"]
    assert words[words.index("--workers") + 1] == "3" and words[words.index("--port") + 1] == "9000"

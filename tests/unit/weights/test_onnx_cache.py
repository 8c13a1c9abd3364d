"""Checkpoints for ONNX Runtime: made once, checked, kept whole, and made again where anything is not as it was."""

import dataclasses
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.weights import checkpoint, onnx_cache
from src.weights.trained_model import choose_runtime, load_model

CONFIG = ModelConfig(sample_rate=4000, in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4,
                     K=6, num_layers=1)
NOISE = np.random.default_rng(0).normal(0, 0.1, (2, 900)).astype(np.float32)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    ms.set_seed(0)
    network = DPRNNTasNet(CONFIG)
    path = tmp_path_factory.mktemp("model") / "net.ckpt"
    checkpoint.save(path, network, {})
    return path, checkpoint.for_inference(network)(Tensor(NOISE)).asnumpy()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DPRNN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def agrees(model, wanted):
    return model.runtime == "onnx" and np.abs(model(NOISE) - wanted).max() < 1e-5


def forbid(monkeypatch):
    def make(*_):
        raise AssertionError("the cache serves")

    monkeypatch.setattr(onnx_cache, "make", make)


def test_made_once_and_used_again(ready, cache, monkeypatch):
    path, wanted = ready
    assert agrees(load_model(path, device_target="CPU"), wanted)
    (kept,) = cache.iterdir()
    assert onnx_cache.NAME.fullmatch(kept.name)
    forbid(monkeypatch)
    model = load_model(path)
    assert agrees(model, wanted) and model.config == CONFIG and model.path == path
    copy = shutil.copy(path, cache.parent / "other.ckpt")
    assert agrees(load_model(copy), wanted), "found by what the checkpoint holds, not by its name"


def test_what_is_not_whole_or_not_current_is_made_again(ready, cache, monkeypatch):
    path, wanted = ready
    load_model(path)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    flipped = whole[:2000] + bytes([whole[2000] ^ 0xFF]) + whole[2001:]
    for broken in (b"", whole[:-1], whole[: len(whole) // 2], flipped):
        kept.write_bytes(broken)
        assert agrees(load_model(path), wanted)
        assert kept.read_bytes() == whole
    onnx_cache.write(kept, b"whole, but no graph")
    assert agrees(load_model(path), wanted) and kept.read_bytes() == whole
    monkeypatch.setattr(onnx_cache, "_version", lambda: "0" * 16)
    assert agrees(load_model(path), wanted) and len(list(cache.iterdir())) == 2, "another code, another graph"


def test_the_name_follows_the_code_and_the_runtime(monkeypatch):
    import onnxruntime

    before = onnx_cache._version()
    assert re.fullmatch("[0-9a-f]{16}", before)
    monkeypatch.setattr(onnxruntime, "__version__", "0.0")
    assert onnx_cache._version.__wrapped__() != before
    monkeypatch.undo()
    monkeypatch.setattr(onnx_cache, "LAYERS", "src/network")
    assert onnx_cache._version.__wrapped__() != before


def test_several_at_once(ready, cache):
    path, wanted = ready
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda _: load_model(path), range(8)))
    assert all(agrees(model, wanted) for model in models)
    assert len(list(cache.iterdir())) == 1, "nothing temporary is left"


def test_a_folder_that_cannot_be_written(ready, cache, capsys):
    path, wanted = ready
    cache.write_text("a file where the folder should be")
    assert agrees(load_model(path), wanted)
    said = capsys.readouterr().err
    assert said.startswith(f"note: {cache}: cannot be written") and said.count("\n") == 1
    assert cache.read_text().startswith("a file")


def test_where_the_folder_is(monkeypatch, tmp_path):
    for name in ("DPRNN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert onnx_cache.folder() == tmp_path / ".cache" / "dprnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert onnx_cache.folder() == tmp_path / ".cache" / "dprnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert onnx_cache.folder() == tmp_path / "x" / "dprnn"
    monkeypatch.setenv("DPRNN_CACHE_DIR", str(tmp_path / "y"))
    assert onnx_cache.folder() == tmp_path / "y"


def test_the_oldest_go_and_what_is_not_ours_stays(cache, monkeypatch):
    monkeypatch.setattr(onnx_cache, "KEPT", 3)
    cache.mkdir()
    (cache / "mine.onnx").write_text("a model of the user")
    os.utime(cache / "mine.onnx", (0, 0))
    places = [cache / f"{i:064x}-{0:016x}.onnx" for i in range(5)]
    for i, place in enumerate(places[:4]):
        onnx_cache.write(place, b"graph")
        os.utime(place, (i + 1, i + 1))
    assert onnx_cache.read(places[1]) == b"graph", "used just now"
    onnx_cache.write(places[4], b"graph")
    assert {path.name for path in cache.iterdir()} == {"mine.onnx", *(places[i].name for i in (1, 3, 4))}


def test_a_runtime_that_computes_something_else(ready, cache, monkeypatch, capsys):
    path, wanted = ready

    def wrong(config, weights):
        return make(config, weights | {"decoder.weight": weights["decoder.weight"] * 1.01})

    make = onnx_cache.make
    monkeypatch.setattr(onnx_cache, "make", wrong)
    monkeypatch.setattr(onnx_cache, "TOLERANCE", 1e-5)
    with pytest.raises(UserError, match="differs from the checkpoint by .*--runtime mindspore"):
        load_model(path, "onnx")
    assert not cache.exists(), "nothing wrong is kept"
    model = load_model(path, "auto", "CPU")
    assert model.runtime == "mindspore" and np.array_equal(model(NOISE), wanted)
    assert "MindSpore runs it" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_its_configuration(ready, cache, tmp_path):
    config, _, values = checkpoint.read(ready[0])
    for changes, word in ((dict(hidden_channels=8), "another architecture"), (dict(num_layers=2), "lacks")):
        class Claimed:
            def get_parameters(self):
                return [ms.Parameter(Tensor(array), name=name) for name, array in values.items()]

        network = Claimed()
        network.config = dataclasses.replace(config, **changes)
        checkpoint.save(tmp_path / "bad.ckpt", network, {})
        with pytest.raises(UserError, match=f"bad.ckpt.*{word}"):
            load_model(tmp_path / "bad.ckpt")


def test_which_runtime(tmp_path, monkeypatch):
    names = {kind: tmp_path / f"x{kind}" for kind in (".ckpt", ".onnx", ".mindir")}
    for kind, wanted in ((".ckpt", "onnx"), (".onnx", "onnx"), (".mindir", "mindspore")):
        assert choose_runtime(names[kind], device_target="CPU") == wanted
    monkeypatch.setattr("src.core.device.has_card", lambda: True)
    assert choose_runtime(names[".ckpt"]) == "mindspore" and choose_runtime(names[".onnx"]) == "onnx"
    assert choose_runtime(names[".ckpt"], "onnx") == "onnx" and choose_runtime(names[".ckpt"], "auto", "CPU") == "onnx"
    assert choose_runtime(names[".ckpt"], "mindspore") == "mindspore"
    for kind, runtime, target, word in ((".ckpt", "onnx", "Ascend", "runs on the CPU"),
                                        (".onnx", "mindspore", "CPU", "made for onnx"),
                                        (".mindir", "onnx", "CPU", "made for mindspore")):
        with pytest.raises(UserError, match=word):
            choose_runtime(names[kind], runtime, target)

"""Exports: equal to the checkpoint in every flavour, refused where they cannot be, nothing half-written."""

import dataclasses
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.export import write_model as exporting
from src.export.config import ExportConfig
from src.export.write_model import export
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.network.layers.rnn import Recurrent
from src.weights import checkpoint
from src.weights.mindspore_runtime import read_weights
from src.weights.trained_model import load_model, meta_path, read_meta

CONFIG = ModelConfig(sample_rate=4000, in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4,
                     K=6, num_layers=1)


def noise(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


def save(folder, **changes):
    ms.set_seed(0)
    network = DPRNNTasNet(dataclasses.replace(CONFIG, **changes))
    checkpoint.save(folder / "net.ckpt", network, {})
    return checkpoint.for_inference(network), str(folder / "net.ckpt")


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path)


@pytest.mark.parametrize("options", [
    dict(), dict(static_length=0.2, batch_size=2), dict(batch_size=2, fp16=True), dict(file_format="ONNX"),
    dict(file_format="ONNX", static_length=0.2), dict(fp16=True, rnn_kernel="loop", static_length=0.2),
], ids=lambda o: "-".join(f"{k}={v}" for k, v in o.items()) or "MINDIR")
def test_equals_the_checkpoint(saved, options):
    network, path = saved
    written, found = export(ExportConfig(model_path=path, device_target="CPU", check_seconds=1, **options))
    beside = [] if written.suffix == ".onnx" else [".json"]
    assert "checkpoint" in found
    assert {p.suffix for p in written.parent.iterdir()} == {".ckpt", written.suffix, *beside}, "nothing else is left"
    meta = read_meta(written)[1]
    length = 800 if "static_length" in options else None
    batch = options.get("batch_size") or (1 if length else None)
    assert int(meta["sample_rate"]) == 4000 and meta["input"] == [batch, length]
    model = load_model(written)
    assert model.config == network.config
    for shape in [(batch or 1, 800)] if length or batch else [(1, 3), (2, 800), (3, 1234)]:
        x = noise(*shape)
        limit = 1e-3 if options.get("fp16") else 1e-5
        assert np.abs(model(x) - network(Tensor(x)).asnumpy()).max() <= limit
    if length:
        assert model(noise(3, 500)).shape == (3, 2, 500)
        with pytest.raises(UserError, match="at most 800 samples"):
            model(noise(1, 801))


def test_a_mindir_with_a_loop_takes_several_lengths(tmp_path):
    network, path = save(tmp_path, rnn_type="GRU")
    model = load_model(export(ExportConfig(model_path=path, device_target="CPU"))[0])
    for shape in ((1, 50), (2, 333), (1, 50)):
        assert np.abs(model(noise(*shape)) - network(Tensor(noise(*shape))).asnumpy()).max() <= 1e-5


def test_ascend_flavour_from_any_host(saved):
    _, path = saved
    written, found = export(ExportConfig(model_path=path, device_target="Ascend"))
    assert b"DynamicRNN" in written.read_bytes() and "Ascend" in found
    assert json.loads(meta_path(written).read_text())["rnn_kernel"] == "dynamic"
    with pytest.raises(UserError, match="runs there only"):
        load_model(written)
    weights = read_weights(path)[1]
    stored = read_weights(written)[1]
    assert weights.keys() == stored.keys() and all(np.array_equal(weights[k], stored[k]) for k in weights)


def test_a_mindir_becomes_onnx_like_its_checkpoint(saved):
    network, path = saved
    name = str(Path(path).parent / "other")
    mindir, _ = export(ExportConfig(model_path=path, device_target="CPU", file_name=name))
    assert str(mindir) == name + ".mindir"
    written, _ = export(ExportConfig(model_path=str(mindir), file_format="ONNX", check_seconds=1))
    x = noise(1, 500)
    assert np.abs(load_model(written)(x) - network(Tensor(x)).asnumpy()).max() <= 1e-5


@pytest.mark.parametrize("options, word", [
    (dict(file_format="AIR"), "AIR"), (dict(file_format="ONNX", fp16=True), "MINDIR"),
    (dict(file_format="ONNX", rnn_kernel="loop"), "MINDIR"), (dict(rnn_kernel="packed"), "use loop"),
    (dict(file_format="MINDIR_LITE", device_target="Ascend"), "static_length"),
])
def test_what_cannot_be_is_refused(tmp_path, options, word):
    _, path = save(tmp_path, rnn_type="GRU")
    with pytest.raises(UserError, match=word):
        export(ExportConfig(model_path=path, **options))
    assert [p.name for p in tmp_path.iterdir()] == ["net.ckpt"]


@pytest.mark.parametrize("file_format", ["MINDIR", "ONNX"])
def test_an_export_that_disagrees_is_not_written(saved, monkeypatch, tmp_path, file_format):
    _, path = saved

    def wrong(config, weights, path, kernel=None):
        network = checkpoint.build_model(config, weights, path, kernel)
        if kernel is None:  # the reference
            network.decoder.weight.set_data(network.decoder.weight * 1.01)
        return network

    monkeypatch.setattr(exporting, "build_model", wrong)
    with pytest.raises(UserError, match="disagrees"):
        export(ExportConfig(model_path=path, file_format=file_format, device_target="CPU", check_seconds=1))
    assert [p.name for p in tmp_path.iterdir()] == ["net.ckpt"]


def test_a_broken_mindir_is_refused(saved):
    _, path = saved
    written, _ = export(ExportConfig(model_path=path, device_target="CPU"))
    whole = written.read_bytes()
    written.write_bytes(whole[:-10])
    with pytest.raises(UserError, match="truncated"):
        load_model(written)
    written.write_bytes(whole)
    meta_path(written).write_text("{}")
    with pytest.raises(UserError, match="meta.json"):
        load_model(written)
    meta_path(written).unlink()
    with pytest.raises(UserError, match="missing"):
        load_model(written)


def test_a_broken_or_foreign_onnx_is_refused(saved, tmp_path):
    _, path = saved
    written, _ = export(ExportConfig(model_path=path, file_format="ONNX", check_seconds=1))
    whole = written.read_bytes()
    written.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        load_model(written)
    foreign = onnx.load_from_string(whole)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    for name, word in (("foreign.onnx", "carries no configuration"), ("none.onnx", "no such")):
        with pytest.raises(UserError, match=word):
            load_model(tmp_path / name)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dynamic_rnn(x, w, b, _, h, c):
    """What ops.DynamicRNN documents, its gates in the order i, j (new), f, o."""
    x, w, b, h, c = (t.asnumpy().astype(np.float64) for t in (x, w, b, h[0], c[0]))
    out = []
    for step in x:
        i, j, f, o = np.split(np.concatenate([step, h], 1) @ w + b, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(j)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return (Tensor(np.stack(out).astype(np.float16)),)


def dynamic_gru(x, w_x, w_h, b_x, b_h, _, h):
    """What ops.DynamicGRUV2 documents, its gates in the order r, z, h, the reset after the product."""
    x, w_x, w_h, b_x, b_h, h = (t.asnumpy().astype(np.float64) for t in (x, w_x, w_h, b_x, b_h, h))
    out = []
    for step in x:
        (rx, zx, nx), (rh, zh, nh) = np.split(step @ w_x + b_x, 3, 1), np.split(h @ w_h + b_h, 3, 1)
        z = sigmoid(zx + zh)
        h = (1 - z) * np.tanh(nx + sigmoid(rx + rh) * nh) + z * h
        out.append(h)
    return (Tensor(np.stack(out).astype(np.float32)),)


@pytest.mark.parametrize("rnn_type, kernel, emulated", [("LSTM", "lstm", dynamic_rnn), ("GRU", "gru", dynamic_gru)])
def test_ascend_kernels_get_the_weights_in_their_order(rnn_type, kernel, emulated):
    ms.set_seed(0)
    layer, ascend = (Recurrent(rnn_type, 5, 4, False, k) for k in ("loop", "dynamic"))
    setattr(ascend.run.one_way, kernel, emulated)
    x = Tensor(noise(7, 3, 5) * 10)
    weights = [p for p in layer.get_parameters()]
    found = ascend.run.one_way.construct(x, *weights).asnumpy()  # as plain Python, which the emulation is too
    assert np.abs(found - layer(x).asnumpy()).max() < 3e-3  # half precision

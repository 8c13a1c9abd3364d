"""Checkpoints: round trips, and every way a file can be wrong."""

import dataclasses
import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.core.errors import UserError
from src.network.dprnn.model import DPRNNTasNet
from src.network.registry import model_part
from src.training.config import TrainConfig
from src.training.train_step import TrainStep, build_optimizer
from src.weights import checkpoint
from src.weights.checkpoint_file import FORMAT, Unreadable, read

CONFIG = TrainConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=1,
                     sample_rate=4000)


@pytest.fixture()
def saved(tmp_path):
    ms.set_seed(0)
    network = DPRNNTasNet(model_part(CONFIG))
    path = tmp_path / "model.ckpt"
    checkpoint.save(path, network, {"epoch": 3, "note": "x"})
    return network, path


def noise(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


def test_round_trip(saved):
    network, path = saved
    config, info, _ = checkpoint.read(path)
    assert config == model_part(CONFIG) and info == {"epoch": 3, "note": "x", "task": "separation"}
    loaded = checkpoint.load_model(path)
    assert np.array_equal(loaded(Tensor(noise(2, 300))).asnumpy(),
                          checkpoint.for_inference(network)(Tensor(noise(2, 300))).asnumpy())
    assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_optimizer_state_round_trip(tmp_path):
    def start():
        ms.set_seed(0)
        network = DPRNNTasNet(model_part(CONFIG))
        optimizer = build_optimizer(CONFIG, network)
        return network, optimizer, TrainStep(network, optimizer, CONFIG)

    sources = noise(2, 2, 300)
    data = Tensor(sources.sum(1)), Tensor(sources), Tensor(np.array([300, 300], np.int32)), Tensor(1e-3, ms.float32)
    network, optimizer, step = start()
    for _ in range(3):
        step(*data)
    checkpoint.save(tmp_path / "last.ckpt", network, {}, optimizer)
    for _ in range(3):
        step(*data)
    again, other, step = start()
    _, _, values = checkpoint.read(tmp_path / "last.ckpt")
    checkpoint.load_weights(again, values, "x")
    checkpoint.load_optimizer(other, values, "x")
    for _ in range(3):
        step(*data)
    for a, b in zip(network.get_parameters(), again.get_parameters()):
        assert np.array_equal(a.asnumpy(), b.asnumpy()), a.name


def test_every_broken_checkpoint_is_refused(saved, tmp_path):
    _, path = saved
    whole = path.read_bytes()
    middle = len(whole) // 2
    broken = {
        "truncated": whole[:middle], "short by one": whole[:-1], "empty": b"", "text": b"hello" * 99,
        "flipped": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
    }
    for name, content in broken.items():
        other = tmp_path / f"{name.replace(' ', '-')}.ckpt"
        other.write_bytes(content)
        with pytest.raises(UserError, match="corrupt"):
            checkpoint.load_model(other)
    ms.save_checkpoint([{"name": "w", "data": Tensor(noise(3))}], str(tmp_path / "foreign.ckpt"))
    for wrong, word in ((tmp_path / "foreign.ckpt", "another project"), (tmp_path / "none.ckpt", "no such"),
                        (tmp_path, "folder"), (tmp_path / "x.pth", "no such")):
        with pytest.raises(UserError, match=word):
            checkpoint.load_model(wrong)


def test_what_mindspore_reads_is_what_we_read(tmp_path, monkeypatch):
    """Every type that a checkpoint of ours may hold, a large array in several pieces, a scalar, texts."""
    from mindspore.train import serialization

    monkeypatch.setattr(serialization, "SLICE_SIZE", 1)  # kB in a piece
    rng = np.random.default_rng(0)
    arrays = {"big": rng.normal(size=(50, 30)).astype(np.float32), "scalar": np.float32(3.5),
              "half": rng.normal(size=5).astype(np.float16), "count": np.arange(7), "yes": np.array([True, False])}
    path = str(tmp_path / "all.ckpt")
    ms.save_checkpoint([{"name": name, "data": Tensor(array)} for name, array in arrays.items()], path, crc_check=True,
                       append_dict={"format": FORMAT, "info": '{"text": "é"}',
                                    "model_config": json.dumps(dataclasses.asdict(model_part(CONFIG)))})
    config, info, values = read(path)
    assert config == model_part(CONFIG) and info == {"text": "é", "task": "separation"}
    assert values.keys() == arrays.keys()
    theirs = ms.load_checkpoint(path, crc_check=True)
    for name, array in values.items():
        wanted = theirs[name].asnumpy()
        assert array.dtype == wanted.dtype and array.shape == wanted.shape and np.array_equal(array, wanted)
        assert array.flags.writeable


def test_a_file_cut_before_its_checksum_is_corrupt_and_a_foreign_one_foreign(saved, tmp_path):
    """Both could be parsed: nothing may be missing without a word, and a type that we do not know is no corruption."""
    _, path = saved
    (tmp_path / "cut.ckpt").write_bytes(path.read_bytes()[:-17])
    with pytest.raises(Unreadable, match="checksum is missing"):
        read(tmp_path / "cut.ckpt")
    ms.save_checkpoint([{"name": "w", "data": Tensor(noise(3), ms.bfloat16)}], str(tmp_path / "foreign.ckpt"))
    with pytest.raises(UserError, match="another project"):
        read(tmp_path / "foreign.ckpt")


def test_weights_of_another_architecture_are_refused(saved):
    _, path = saved
    _, _, values = checkpoint.read(path)
    for changes, word in ((dict(K=8, hidden_channels=8), "another architecture"), (dict(num_layers=2), "lacks")):
        with pytest.raises(UserError, match=word):
            checkpoint.load_weights(DPRNNTasNet(dataclasses.replace(model_part(CONFIG), **changes)), values, path)

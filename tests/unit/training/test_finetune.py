"""Starting from another run's weights, and the states a run keeps."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest

from src.core.errors import UserError
from src.core.files import link
from src.network.dprnn.model import DPRNNTasNet
from src.network.registry import model_part
from src.training.config import TrainConfig
from src.training.finetune import part_names, start_from
from src.training.run_folder import RunFolder
from src.training.train_step import build_optimizer
from src.weights import checkpoint
from tests.unit.training.test_train_step import BASE, values


@pytest.fixture()
def other(tmp_path):
    """A checkpoint with two speakers: (path, its weights)."""
    ms.set_seed(7)
    network = DPRNNTasNet(model_part(BASE))
    checkpoint.save(tmp_path / "other.ckpt", network, {})
    return str(tmp_path / "other.ckpt"), values(network)


def start(path, **changes):
    config = dataclasses.replace(BASE, init_from=path, **changes)
    ms.set_seed(0)
    network = DPRNNTasNet(model_part(config))
    before = values(network)
    return start_from(network, config), before, values(network)


def test_all_weights_are_taken(other):
    path, theirs = other
    notices, _, after = start(path)
    assert not notices and all(np.array_equal(after[name], theirs[name]) for name in theirs)
    notices, _, after = start(path, K=10, sample_rate=16000, dropout=0.1)
    assert len(notices) == 1 and "K 6 there, 10 here" in notices[0] and "sample_rate" in notices[0]
    assert all(np.array_equal(after[name], theirs[name]) for name in theirs)


def test_another_number_of_speakers_starts_a_new_expansion(other):
    path, theirs = other
    notices, before, after = start(path, num_spks=3)
    assert len(notices) == 1 and "2 speakers there, 3 here" in notices[0]
    for name in theirs:
        fresh = name.startswith("separator.expand.")
        assert (name in notices[0]) == fresh
        assert np.array_equal(after[name], (before if fresh else theirs)[name]), name


def test_another_architecture_is_refused(other):
    for changes in (dict(hidden_channels=8), dict(num_layers=2), dict(norm="cln"), dict(kernel_size=8)):
        with pytest.raises(UserError, match=f"{list(changes)[0]} .* there, .* here"):
            start(other[0], **changes)
    with pytest.raises(UserError, match="no such checkpoint"):
        start("nowhere.ckpt")


def test_parts_have_names():
    names = part_names(DPRNNTasNet(dataclasses.replace(BASE, num_layers=2)))
    assert {"encoder", "decoder", "separator", "separator.bottleneck", "separator.blocks.1"} <= set(names)


def test_states_and_best_files(tmp_path):
    config = TrainConfig(save_folder=str(tmp_path / "m"), keep_last=3, keep_best=2)
    network = DPRNNTasNet(model_part(BASE))
    optimizer = build_optimizer(BASE, network)
    folder = RunFolder(config)
    folder.start()
    for step in (5, 10, 10, 15, 20):
        folder.save_last(network, {"step": step}, optimizer, None)
    link(folder.last, folder.path / "last-20.ckpt")  # killed after this: the resumed run does it again
    link(folder.last, folder.path / "last-20.ckpt")
    assert not list(folder.path.glob(".*"))
    folder.save_last(network, {"step": 20}, optimizer, None)
    assert sorted(p.name for p in folder.path.glob("*.ckpt")) == ["last-10.ckpt", "last-15.ckpt", "last.ckpt"]
    resumed = RunFolder(dataclasses.replace(config, resume=True))
    assert resumed.newest()[2]["step"] == 20 and resumed.saved_step == 20
    damaged = folder.last.read_bytes()
    folder.last.write_bytes(damaged[:-20])
    (folder.path / "last-15.ckpt").write_bytes(b"")
    said = []
    path, _, info, _ = resumed.newest(said.append)
    assert path.name == "last-10.ckpt" and info["step"] == 10 and len(said) == 2 and "last.ckpt" in said[0]
    resumed.save_last(network, {"step": 12}, optimizer, None)  # neither keeps what is damaged nor what lies ahead
    assert sorted(p.name for p in folder.path.glob("*.ckpt")) == ["last-10.ckpt", "last.ckpt"]
    assert resumed.newest()[2]["step"] == 12
    folder.last.unlink()
    assert resumed.newest()[2]["step"] == 10, "killed between two renames"
    with pytest.raises(UserError, match="last-10.ckpt exists"):
        RunFolder(config)
    (folder.path / "last-10.ckpt").unlink()
    assert resumed.newest(said.append) is None and "from its beginning" in said[-1]
    with pytest.raises(UserError, match="start without --resume"):
        RunFolder(dataclasses.replace(config, resume=True, save_folder=str(tmp_path / "none"))).newest()

    scores = {}
    for step, score in ((1, 1.0), (2, 3.0), (3, 2.0), (4, 2.5)):
        scores = dict(sorted((scores | {str(step): score}).items(), key=lambda item: -item[1])[:2])
        if str(step) in scores:
            folder.save_best(network, {"step": step, "score": score}, None, scores)
    assert sorted(p.name for p in folder.path.glob("best*")) == ["best-2.ckpt", "best-4.ckpt", "best.ckpt"]
    assert checkpoint.read(folder.best)[1]["score"] == 3.0
    assert checkpoint.read(folder.path / "best-4.ckpt")[1]["score"] == 2.5


def test_log_without_a_row_that_was_being_written(tmp_path):
    config = TrainConfig(save_folder=str(tmp_path))
    folder = RunFolder(config)
    folder.start()
    row = dict.fromkeys(("step", "epoch", "train_loss", "valid_loss", "valid_score", "lr", "grad_norm",
                         "step_seconds", "skipped_steps", "minutes", "audio_per_second", "peak_gb"))
    for step in range(1, 6):
        folder.log_row(row | {"step": step, "train_loss": 0.5})
    whole = folder.log.read_text()
    folder.log.write_text(whole + "6,0.")
    again = RunFolder(dataclasses.replace(config, resume=True))
    again.start(4)  # the state that goes on knows of four rows
    assert folder.log.read_text() == "".join(whole.splitlines(True)[:5]) and again.rows == 4
    folder.log.write_text("step,epoch\n1,0.5\n")  # of an older version
    again.start(9)
    assert folder.log.read_text().splitlines()[1] == "1,0.5" + "," * 10


def test_event_files(tmp_path):
    pytest.importorskip("tensorboardX")
    from src.training.tensorboard import NAMES, EventFiles

    events = EventFiles(tmp_path / "t", 0)
    events.add(dict.fromkeys(NAMES, 0.25) | {"step": 3, "valid_loss": None})
    events.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "t").iterdir())
    assert b"loss/train" in written and b"loss/validation" not in written


def test_event_files_without_the_library(monkeypatch):
    import sys

    from src.training.tensorboard import writer_class

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match="pip install tensorboardX"):
        writer_class()

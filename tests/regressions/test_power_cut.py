"""A power cut, or a disk that fails, leaves the old file or the new one: whatever gets its name by a rename has reached
the disk before, and the folder after."""

import dataclasses
import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src.audio.files import write_wav
from src.audio.streams import Writer
from src.container.sagemaker import Folders, publish
from src.core import files
from src.core.errors import UserError
from src.core.figures import training_curve
from src.core.files import ROOT
from src.data.mixing.config import MixConfig
from src.data.mixing.make_mixtures import make_mixtures
from src.data.records.config import PreprocessConfig
from src.data.records.manifest import Manifest, write_manifest
from src.data.records.write_mixtures import preprocess
from src.data.records.write_recordings import preprocess_recordings
from src.evaluation.result_files import write_results
from src.evaluation.write_wavs import collect
from src.export import write_model as exporting
from src.export.asteroid import export_asteroid
from src.export.config import ConvertConfig
from src.network.dprnn.config import ModelConfig
from src.network.dprnn.model import DPRNNTasNet
from src.training.config import TrainConfig
from src.training.run_folder import LOG_FIELDS, RunFolder
from src.training.train_step import build_optimizer
from src.weights import checkpoint
from tests.helpers import one_process
from tests.helpers.synth import write_subset
from tests.helpers.voices import write_noises, write_voices

CONFIG = ModelConfig(in_channels=6, out_channels=6, bn_channels=5, hidden_channels=4, kernel_size=4, K=6, num_layers=1)


def test_names_are_given_in_one_place():
    spelled = re.compile(r"os\.(replace|rename|renames)\b|\.rename\(|Path\.replace")
    found = {str(path.relative_to(ROOT)) for pattern in ("src/**/*.py", "scripts/**/*.py", "*.py")
             for path in ROOT.glob(pattern) if spelled.search(path.read_text(encoding="utf-8"))}
    assert found == {"src/core/files.py"}


# ---- the order of calls


class Disk:
    """Stands before the system's calls and notes what a power cut could not take back.

    Attributes:
        faults (list[str]): renames of what was not on the disk.
        due (set): folders with a name that is not on the disk yet.
    """

    def __init__(self, monkeypatch):
        self.synced, self.faults, self.due, self.names = {}, [], set(), []
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)
        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, self.renaming(getattr(os, name)))

    def fsync(self, descriptor):
        self._fsync(descriptor)
        found = os.fstat(descriptor)
        self.synced[found.st_ino] = (found.st_size, found.st_mtime_ns)
        self.due.discard(found.st_ino)

    def renaming(self, rename):
        def call(source, target):
            if ".tmp.tmp" not in str(source):  # MindSpore gives its checkpoint our temporary name
                self.check(Path(source))
                self.names.append(Path(target).name)
            rename(source, target)
            if ".tmp.tmp" not in str(source):
                self.due |= {os.stat(Path(target).parent).st_ino, os.stat(Path(source).parent).st_ino}
        return call

    def check(self, path):
        for place in [path, *(path.rglob("*") if path.is_dir() else ())]:
            found = place.lstat()
            if self.synced.get(found.st_ino) != (found.st_size, found.st_mtime_ns):
                self.faults.append(f"{place} was renamed, or in {path} that was, and is not on the disk")


@pytest.fixture()
def disk(monkeypatch):
    return Disk(monkeypatch)


def network():
    return DPRNNTasNet(CONFIG)


def save_checkpoint(folder):
    checkpoint.save(folder / "last.ckpt", network(), {"step": 1})


def save_wav(folder):
    write_wav(folder / "a.wav", np.zeros(100), 8000)


def save_tracks(folder):
    with Writer({folder / "a_s1.flac": 1, folder / "a_s2.flac": 1}, 8000, "flac", 100) as writer:
        writer.write(np.zeros((2, 100), np.float32))
        writer.commit()


def save_results(folder):
    write_results(folder / "eval", [{"id": "a", "si_snri": 1.0, "seconds": 1.0}], {"si_snri": 1.0})


def save_manifest(folder):
    write_manifest(folder, Manifest("dev", "x", "mix", ["s1"], "sep_clean", 1, 8000, 1, 1.0, 1, 1, []))


def save_export(folder):
    (folder / "made").mkdir(exist_ok=True)
    (folder / "made" / "m.mindir").write_bytes(b"model")
    exporting._put({folder / "made" / "m.mindir": folder / "dprnn.mindir"})


def save_asteroid(folder):
    if not (folder / "made.ckpt").exists():
        checkpoint.save(folder / "made.ckpt", network(), {})
    export_asteroid(ConvertConfig(to_asteroid=str(folder / "made.ckpt"), out=str(folder / "model.npz")))


def save_published(folder):
    (folder / "best.ckpt").write_bytes(b"weights")
    publish(Folders(folder), folder / "best.ckpt", None, False)


def save_picture(folder):
    (folder / "log.csv").write_text(",".join(LOG_FIELDS) + "\n")
    training_curve(folder / "curve.png", folder / "log.csv")


def save_run(folder):
    config = TrainConfig(save_folder=str(folder / "run"), keep_last=2, keep_best=2, overwrite=True)
    net, run = network(), RunFolder(config)
    optimizer = build_optimizer(dataclasses.replace(config, **dataclasses.asdict(CONFIG)), net)
    run.start()
    for step in (1, 2, 3):
        run.save_last(net, {"step": step}, optimizer, None)
        run.save_best(net, {"step": step}, None, {str(step): float(step), str(step - 1): step - 1.0})


WRITERS = (save_checkpoint, save_wav, save_tracks, save_results, save_manifest, save_export, save_asteroid,
           save_published, save_picture, save_run)


@pytest.mark.parametrize("writer", WRITERS)
def test_on_the_disk_before_the_name(writer, disk, tmp_path):
    writer(tmp_path / "deep" / "er" if writer in (save_wav, save_tracks, save_results) else tmp_path)
    assert disk.names and not disk.faults and not disk.due
    assert not [name for name in disk.names if name.startswith(".")]


def test_records_and_wavs(disk, monkeypatch, tmp_path):
    one_process.use(monkeypatch)
    write_voices(tmp_path / "voices", files=2)
    write_noises(tmp_path / "noises", files=2)
    make_mixtures(MixConfig(speech_dir=str(tmp_path / "voices"), noise_dir=str(tmp_path / "noises"),
                            out_dir=str(tmp_path / "mixtures"), num_mixtures="3"))
    branch = tmp_path / "mixtures" / "Libri2Mix" / "wav8k" / "min"
    assert len(list((branch / "train" / "mix_both").iterdir())) == 3
    assert {"libri2mix_train.csv", "mixture_train_mix_both.csv", ".train.json", "train"} <= set(disk.names)
    for _ in range(2):  # the second takes the place of the first
        preprocess(PreprocessConfig(in_dir=str(branch), out_dir=str(tmp_path / "data"), overwrite=True, num_workers=1))
        (branch / "train" / "s1").touch()
    preprocess_recordings(PreprocessConfig(in_dir=str(tmp_path / "voices"), out_dir=str(tmp_path / "speech"),
                                           task="speech", num_workers=1))
    collect(branch / "train", tmp_path / "collected")
    assert disk.names.count("manifest.json") >= 2
    assert not disk.faults and not disk.due


# ---- calls that fail


class Failing:
    """The number-th call of the system that brings a file to its name fails."""

    CALLS = ("fsync", "replace")

    def __init__(self, monkeypatch, number, code):
        self.left, self.code, self.renamed = number, code, False
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self.guard(name, getattr(os, name)))

    def guard(self, name, call):
        def guarded(*args):
            self.left -= 1
            if self.left == 0:
                raise OSError(self.code, os.strerror(self.code), *map(str, args[:1] if name == "replace" else ()))
            call(*args)
            self.renamed = self.renamed or name == "replace"
        return guarded


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("writer", [writer for writer in WRITERS if writer is not save_run])
def test_a_call_that_fails_leaves_the_old_file(writer, monkeypatch, tmp_path):
    writer(tmp_path)
    before, number, refused = contents(tmp_path), 0, 0
    while True:
        number += 1
        with monkeypatch.context() as patch:
            disk = Failing(patch, number, (errno.ENOSPC, errno.EIO)[number % 2])
            try:
                writer(tmp_path)
            except (UserError, OSError) as error:
                refused += 1
                assert os.strerror(disk.code) in str(error) and ".tmp" not in str(error), error
        after = contents(tmp_path)
        assert set(after) == set(before), "no temporary file is left, and nothing is missing"
        if not disk.renamed:
            assert after == before
        if disk.left > 0:
            break
    assert refused == number - 1 >= 3  # file, name, folder


def test_a_full_disk_leaves_nothing_of_a_checkpoint(monkeypatch, tmp_path):
    save_checkpoint(tmp_path)
    before = contents(tmp_path)
    write = checkpoint.ms.train.serialization._write_parameter_bytes_data

    def full(*args):
        write(*args)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.ms.train.serialization, "_write_parameter_bytes_data", full)
    with pytest.raises(UserError, match="last.ckpt: cannot write: No space left"):
        save_checkpoint(tmp_path)
    assert contents(tmp_path) == before, "MindSpore's own temporary file is gone too"


def test_a_wav_on_a_full_disk(tmp_path):
    import resource

    save_wav(tmp_path)
    before, limits = contents(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match="a.wav: cannot write"):
            write_wav(tmp_path / "a.wav", np.zeros(200_000), 8000)
        with pytest.raises(UserError, match="a_s1.wav: cannot write"), Writer(
                {tmp_path / "a_s1.wav": 1}, 8000, "wav", 200_000) as writer:
            writer.write(np.zeros((1, 200_000), np.float32))
            writer.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path) == before


def test_a_state_that_has_its_name_is_known_by_its_step(monkeypatch, tmp_path):
    """The folder's sync fails after the rename: last.ckpt is the new state, and must not be kept as the old one."""
    net = network()
    run = RunFolder(TrainConfig(save_folder=str(tmp_path / "run"), keep_last=3))
    optimizer = build_optimizer(TrainConfig(**dataclasses.asdict(CONFIG)), net)
    run.start()
    run.save_last(net, {"step": 1}, optimizer, None)
    with monkeypatch.context() as patch, pytest.raises(UserError):
        Failing(patch, 6, errno.EIO)  # link: file, name, folder; state: file, name, folder
        run.save_last(net, {"step": 2}, optimizer, None)
    run.save_last(net, {"step": 3}, optimizer, None)
    steps = {path.name: checkpoint.read(path)[1]["step"] for path in run.path.glob("*.ckpt")}
    assert steps == {"last.ckpt": 3, "last-2.ckpt": 2, "last-1.ckpt": 1}


def test_a_file_system_without_sync_of_folders(monkeypatch, tmp_path):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write(tmp_path / "a" / "b.json", json.dumps({"a": 1}))
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"a": 1}


def test_a_name_as_long_as_names_can_be(tmp_path):
    name = "n" * 251 + ".wav"
    write_wav(tmp_path / name, np.zeros(10), 8000)
    assert soundfile.info(tmp_path / name).frames == 10
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_mixtures_of_a_tree_are_collected_whole(tmp_path):
    write_subset(tmp_path / "tree", 2)
    count, _ = collect(tmp_path / "tree", tmp_path / "out")
    assert count == 2 and not list((tmp_path / "out").rglob(".*"))

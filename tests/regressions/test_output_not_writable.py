"""stdout or stderr on a full disk, closed, or a pipe that nobody reads: one error line and status 1. A training
outlives its log: it goes on, saves its state, and says once what it could not write."""

import csv
import os
import subprocess
import sys

import pytest
from mindspore import Tensor

import train
from src.core.errors import UserError
from src.data.records.config import PreprocessConfig
from src.data.records.write_mixtures import preprocess
from src.training.config import TrainConfig
from src.training.run_folder import LOG_FIELDS, RunFolder
from src.weights import checkpoint
from tests.helpers.synth import ROOT, TINY, write_subset

FULL = "/dev/full"
pytestmark = pytest.mark.skipif(not os.path.exists(FULL), reason="needs /dev/full")

SAY = "import sys\nfrom src.core.errors import run_cli\nrun_cli(lambda argv: {what})\n"
LINE = "print('a line')"
TOLD = {"full": "error: stdout: No space left on device\n", "closed": "error: stdout: Bad file descriptor\n",
        "pipe": "error: stdout: Broken pipe\n"}


def shell(code, ending, folder):
    """Run Python code below a shell; returns (status, stderr)."""
    command = f'"{sys.executable}" -c "$CODE" {ending}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=folder,
                          env=os.environ | {"CODE": code, "PYTHONPATH": str(ROOT)})
    return done.returncode, done.stderr


@pytest.mark.parametrize("kind, ending", [("full", ">/dev/full"), ("closed", ">&-"),
                                          ("pipe", "| true; exit ${PIPESTATUS[0]}")])
def test_a_line_that_is_lost_is_an_error(kind, ending, tmp_path):
    what = LINE if kind != "pipe" else "[print('a line') for _ in range(99999)] and None"
    assert shell(SAY.format(what=what), ending, tmp_path) == (1, TOLD[kind])
    flushed = what.replace("'a line'", "'a line', flush=True")
    assert shell(SAY.format(what=flushed), ending, tmp_path) == (1, TOLD[kind])


def test_help_that_is_lost_is_an_error_too(tmp_path):
    code = SAY.format(what="__import__('mix').main(['--help'])")
    assert shell(code, ">/dev/full", tmp_path) == (1, TOLD["full"])


def test_errors_keep_their_status_without_a_stderr(tmp_path):
    code = SAY.format(what="__import__('mix').main(['--nothing'])")
    for ending in ("2>/dev/full", "2>&-", ">/dev/full 2>/dev/full", ">&- 2>&- <&-"):
        assert shell(code, ending, tmp_path)[0] == 1, ending
    assert shell(SAY.format(what="None"), ">&- 2>&- <&-", tmp_path)[0] == 0, "nothing was to be written"


def test_no_file_gets_the_place_of_a_closed_stdout(tmp_path):
    code = SAY.format(what="[open('file', 'w').fileno() > 2 or print('taken', file=sys.stderr), "
                           "__import__('os').system('echo meant for stdout 2>/dev/null')] and None")
    status, said = shell(code, ">&-", tmp_path)
    assert (status, said) == (0, "") and (tmp_path / "file").read_text() == ""


def test_voices_that_cannot_be_written_to_stdout(tmp_path):
    code = ("from src.core.errors import run_cli\nfrom src.separation.separate_many import quiet_stdout\n"
            "def main(argv):\n    with quiet_stdout() as stream:\n        stream.write(b'x' * 10)\nrun_cli(main)\n")
    assert shell(code, ">/dev/full", tmp_path) == (1, TOLD["full"])


# ---- training


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("outlives")
    write_subset(root / "c" / "train", 6, lengths=(2000, 5000))
    write_subset(root / "c" / "dev", 2, seed=1, lengths=(2000, 5000))
    preprocess(PreprocessConfig(in_dir=str(root / "c"), out_dir=str(root / "data")))
    return root / "data"


@pytest.fixture()
def quick(monkeypatch):
    """Training without a network that is compiled: steps do nothing, and each validation is better than the last."""
    class Scores:
        def __init__(self, *_):
            self.score = 0.0

        def __call__(self, _weights):
            self.score += 1.0
            return -self.score, self.score

    monkeypatch.setattr("src.tasks.separation.task.Validator", Scores)
    done = Tensor(1.0), Tensor(1.0), Tensor(True)
    monkeypatch.setattr("src.training.trainer.build_step", lambda *_: lambda *_: done)


def arguments(data, folder, *more):
    return list(map(str, ["--train_dir", data / "train", "--valid_dir", data / "dev", "--save_folder", folder, *TINY,
                          "--epochs", 2, "--log_every", 1, *more]))


def step_of(path):
    return checkpoint.read(path)[1]["step"]


def test_a_training_outlives_its_stdout(data, quick, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", open(FULL, "w"))
    monkeypatch.setattr("src.core.output.flush", lambda: None)  # descriptor 1 is pytest's
    assert train.main(arguments(data, tmp_path / "m")) == 0
    assert step_of(tmp_path / "m" / "last.ckpt") == 6
    said = capsys.readouterr().err.splitlines()
    assert said == ["warning: stdout: cannot write: No space left on device; the training goes on without it"]
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)


def test_a_training_outlives_its_log_curve_and_events(data, quick, tmp_path, monkeypatch, capsys):
    start = RunFolder.start

    def full(self, rows=None):
        start(self, rows)
        self.log.unlink()
        self.log.symlink_to(FULL)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "start", full)
    monkeypatch.setattr("src.core.figures.training_curve", refuse)
    more = []
    try:
        import tensorboardX.event_file_writer

        monkeypatch.setattr(tensorboardX.event_file_writer.EventsWriter, "write_event", refuse)
        more = ["--tensorboard", "1"]
    except ImportError:
        pass
    assert train.main(arguments(data, tmp_path / "m", *more)) == 0
    assert step_of(tmp_path / "m" / "last.ckpt") == 6 and (tmp_path / "m" / "best.ckpt").exists()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 + bool(more), "each is told of once"
    assert all(line.startswith("warning: ") and "goes on without it" in line for line in said)


def test_rows_wait_for_a_disk_that_takes_them(tmp_path, capsys):
    folder = RunFolder(TrainConfig(save_folder=str(tmp_path)))
    folder.start()
    row = dict.fromkeys(LOG_FIELDS)
    folder.log_row(row | {"step": 1})
    kept = folder.log.read_text()
    folder.log.unlink()
    folder.log.symlink_to(FULL)
    for step in (2, 3):
        folder.log_row(row | {"step": step})
    assert folder.rows == 1, "the state that is saved now knows of one row"
    folder.log.unlink()
    folder.log.write_text(kept)
    folder.log_row(row | {"step": 4})
    with open(folder.log, newline="", encoding="utf-8") as file:
        assert [line["step"] for line in csv.DictReader(file)] == ["1", "2", "3", "4"]
    assert folder.rows == 4 and capsys.readouterr().err.count("warning") == 1


def test_half_a_row_on_a_full_disk_is_taken_back(tmp_path):
    import resource

    folder = RunFolder(TrainConfig(save_folder=str(tmp_path)))
    folder.start()
    before, limits = folder.log.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        folder.log_row(dict.fromkeys(LOG_FIELDS, 123))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert folder.log.read_bytes() == before and folder.rows == 0


class FullDisk:
    """checkpoint.save for a disk that is full at some of the calls."""

    def __init__(self, monkeypatch, full):
        self.calls, self.full, self.save = 0, full, checkpoint.save
        monkeypatch.setattr(checkpoint, "save", self)

    def __call__(self, path, *args, **options):
        self.calls += 1
        if self.full(self.calls, path.name):
            raise UserError(f"{path}: cannot write: No space left on device")
        self.save(path, *args, **options)


def test_a_state_that_cannot_be_saved_is_tried_again(data, quick, tmp_path, monkeypatch, capsys):
    FullDisk(monkeypatch, lambda call, name: call in (3, 4))  # the second best and the second state
    assert train.main(arguments(data, tmp_path / "m", "--epochs", 3)) == 0
    assert step_of(tmp_path / "m" / "last.ckpt") == 9
    said = capsys.readouterr().err
    assert "last.ckpt stays as it was" in said and "the next save tries again" in said


def test_a_last_state_that_cannot_be_saved_is_an_error(data, quick, tmp_path, monkeypatch, capsys):
    FullDisk(monkeypatch, lambda call, name: name == "last.ckpt" and call > 2)
    with pytest.raises(UserError, match="the newest last.ckpt could not be saved: .*No space left"):
        train.main(arguments(data, tmp_path / "m"))
    assert step_of(tmp_path / "m" / "last.ckpt") == 3, "the one before is kept"
    assert "done:" not in capsys.readouterr().out


def test_scores_are_those_of_the_files(data, quick, tmp_path, monkeypatch):
    """best.ckpt could not be written at its best: what is kept is the best that there is a file of."""
    FullDisk(monkeypatch, lambda call, name: name == "best.ckpt" and call > 1)
    with pytest.raises(UserError, match="the newest best.ckpt could not be saved"):
        train.main(arguments(data, tmp_path / "m", "--epochs", 4))
    assert list(checkpoint.read(tmp_path / "m" / "last.ckpt")[1]["best_scores"]) == ["3"]


def test_a_training_outlives_train_log(data, tmp_path):
    (tmp_path / "train.log").symlink_to(FULL)
    done = subprocess.run(["bash", str(ROOT / "scripts" / "run_standalone_train.sh"), "0", str(data / "train"),
                           *arguments(data, tmp_path / "m")[4:]], cwd=tmp_path, capture_output=True, text=True,
                          timeout=300, env=os.environ | {"DEVICE_TARGET": "CPU", "PYTHON": sys.executable})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done: 6 steps" in done.stdout and step_of(tmp_path / "m" / "last.ckpt") == 6

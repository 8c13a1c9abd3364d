"""The files of a training run: states to resume from, the best weights, the log, its picture, the recipe.

last.ckpt is the newest state and last-<step>.ckpt are older ones; best.ckpt is the best validation and, where several
are kept, best-<step>.ckpt are all of them. Files are named by the step they are of, so that a run which was killed and
goes on writes the same files again.
"""

import csv
import io
import os
import re
import shutil
from pathlib import Path

from src.core.errors import UserError, disk_errors
from src.core.files import link, make_folder, write
from src.core.output import Lenient
from src.core.recipe import dump_yaml
from src.training.log_line import LOG_FIELDS
from src.weights import checkpoint
from src.weights.checkpoint_file import Unreadable

OLDER = re.compile(r"(last|best)-(\d+)\.ckpt")


class RunFolder:
    """``config.save_folder``. Only the process that leads writes; for others every method that writes does nothing.

    A training outlives what it tells: a log, a picture or event files that cannot be written are told of once.
    """

    def __init__(self, config, lead=True):
        self.config, self.lead = config, lead
        self.path = Path(config.save_folder)
        self.last, self.best = self.path / "last.ckpt", self.path / "best.ckpt"
        self.log, self.curve = self.path / "train_log.csv", self.path / "training_curve.png"
        self.saved_step = None  # of last.ckpt
        self.rows, self.unwritten = 0, []  # rows in the log, and those that wait for a disk that takes them
        self.lenient = Lenient("the training")
        self.events = None
        if not (config.resume or config.overwrite):
            for name in (self.last, *self._older("last").values()):
                if name.exists():
                    raise UserError(f"{name} exists: --resume continues it, --overwrite starts again, "
                                    "or choose another --save_folder")

    # ---- reading

    def newest(self, say=print):
        """The newest state that can be read: (path, ModelConfig, info, values); None of a run that had written none.

        Args:
            say: called with a line for every one that cannot.
        Raises:
            UserError: there is no run here, or none of its states can be read.
        """
        older = self._older("last")
        found = [path for path in (self.last, *(older[step] for step in sorted(older, reverse=True))) if path.exists()]
        if not found and (self.path / "config.yaml").exists():
            say(f"{self.path}: the run was ended before it had written a state; starting from its beginning")
            return None
        if not found:
            raise UserError(f"--resume: {self.last} does not exist; start without --resume")
        trouble = None
        for path in found:
            try:
                state = checkpoint.read(path)
            except Unreadable as error:
                trouble = trouble or error
                say(f"{error}; going on from the one before")
                continue
            self.saved_step = state[1]["step"] if path == self.last else None
            return (path, *state)
        raise UserError(f"--resume: no state in {self.path} can be read; the newest: {trouble}")

    def _older(self, kind):
        """{step: path} of the last-<step>.ckpt or best-<step>.ckpt there are."""
        names = [OLDER.fullmatch(path.name) for path in self.path.glob(f"{kind}-*.ckpt")]
        return {int(match[2]): self.path / match[0] for match in names if match}

    # ---- writing

    def start(self, rows=None):
        """Make the folder ready: clear of what killed runs left, with the recipe and the first ``rows`` of the log.

        Args:
            rows (int): how many rows the log had when the state that goes on was written; None: a new run.
        """
        if not self.lead:
            return
        try:
            make_folder(self.path)
            for stale in self.path.glob(".*.tmp*"):  # of a killed run
                stale.unlink()
            if rows is None:
                for stale in (self.last, self.best, self.curve, *self._older("last").values(),
                              *self._older("best").values()):
                    stale.unlink(missing_ok=True)
                shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
            write(self.path / "config.yaml", dump_yaml(self.config))
            kept = [] if rows is None else self._whole_rows()[:rows]
            self.rows = len(kept)
            lines = [LOG_FIELDS] + [[row.get(k) or "" for k in LOG_FIELDS] for row in kept]
            write(self.log, "".join(",".join(line) + "\n" for line in lines))
            if self.config.tensorboard:
                from src.training.tensorboard import EventFiles

                self.events = EventFiles(self.path / "tensorboard", int(kept[-1]["step"]) if kept else 0)
        except OSError as error:
            raise UserError(f"--save_folder {self.path}: {error.strerror or error}") from None

    def _whole_rows(self):
        """Rows of the log as dicts of text, without one that was being written when the run was killed."""
        if not self.log.exists():
            return []
        text = self.log.read_text(encoding="utf-8", errors="replace")
        lines = text[: text.rfind("\n") + 1].splitlines()
        # "valid_si_snri" is what the column was called when there was one task
        return list(csv.DictReader([lines[0].replace("valid_si_snri", "valid_score"), *lines[1:]], restval="")) \
            if lines else []

    def save_last(self, network, info, optimizer, average):
        """Write last.ckpt; the one before stays as last-<its step>.ckpt.

        Raises:
            UserError: it cannot be written; what was there is there still.
        """
        if not self.lead:
            return
        with disk_errors(self.last):
            if self.saved_step not in (None, info["step"]) and self.config.keep_last > 1:
                link(self.last, self.path / f"last-{self.saved_step}.ckpt")
            before = _identity(self.last)
            try:
                checkpoint.save(self.last, network, info, optimizer, average)
            except UserError:
                if _identity(self.last) != before:  # it has its name, but the disk has not confirmed it
                    self.saved_step = info["step"]
                raise
            self.saved_step = info["step"]
            older = self._older("last")
            # above the step of last.ckpt there is only what a run left that has been taken up at an earlier state
            kept = sorted(step for step in older if step < info["step"])[::-1][: self.config.keep_last - 1]
            for step in set(older) - set(kept):
                older[step].unlink(missing_ok=True)

    def save_best(self, network, info, average, scores):
        """Write the weights as best-<step>.ckpt and the best of all as best.ckpt.

        Args:
            scores (dict): {step: validation score} of those to keep, this one among them.
        Raises:
            UserError: they cannot be written.
        """
        if not self.lead:
            return
        top = max(scores, key=lambda step: (scores[step], -int(step)))
        if int(top) == info["step"]:
            checkpoint.save(self.best, network, info, average=average)
        if self.config.keep_best == 1:
            return
        path = self.path / f"best-{info['step']}.ckpt"
        with disk_errors(path):
            if int(top) == info["step"]:
                link(self.best, path)
            else:
                checkpoint.save(path, network, info, average=average)
            for step, stale in self._older("best").items():
                if str(step) not in scores:
                    stale.unlink(missing_ok=True)

    def log_row(self, row):
        """Append a row ({field: value or None}) to train_log.csv and to the event files. Rows that the disk does not
        take are written with the next ones."""
        if not self.lead:
            return
        text = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        self.unwritten.append(text)
        self.lenient(self.log, self._write_rows)
        if self.events:
            self.lenient(self.path / "tensorboard", self.events.add, row)

    def _write_rows(self):
        text = io.StringIO()
        csv.DictWriter(text, LOG_FIELDS, lineterminator="\n").writerows(self.unwritten)
        _append(self.log, text.getvalue().encode())
        self.rows += len(self.unwritten)
        self.unwritten = []

    def draw(self):
        """Draw training_curve.png from the log."""
        if not self.lead:
            return
        from src.core.figures import training_curve  # matplotlib: only when there is something to draw

        self.lenient(self.curve, training_curve, self.curve, self.log)

    def close(self):
        """Finish the event files."""
        if self.events:
            self.lenient(self.path / "tensorboard", self.events.close)


def _append(path, data):
    """Add bytes to the end of a file, all of them or none."""
    with open(path, "ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            while data:  # a disk that fills up takes a part
                data = data[file.write(data) :]
        except OSError:
            file.truncate(size)
            raise


def _identity(path):
    """What tells a file from another that takes its name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""The files of a run: last.pt to go on from, best.pth and best.npz for convert.py, the log, and how it was made."""

import csv
import dataclasses
import json
import os
from pathlib import Path

import torch
import yaml

from src.core.errors import UserError, disk_errors
from src.export.asteroid import write_asteroid
from src.network.dprnn.asteroid import MODEL, to_arguments
from src.network.registry import model_part
from src.training.log_line import LOG_FIELDS


class RunFiles:
    """``config.save_folder``; everything in it is replaced as a whole, never half written.

    Raises:
        UserError: it holds a run, and neither ``resume`` nor ``overwrite`` is set; nothing to resume.
    """

    def __init__(self, config):
        self.config, self.path = config, Path(config.save_folder)
        self.last, self.log = self.path / "last.pt", self.path / "train_log.csv"
        if self.last.exists() and not (config.resume or config.overwrite):
            raise UserError(f"{self.last} exists: --resume continues it, --overwrite starts again, or choose another "
                            "--save_folder")
        if config.resume and not self.last.exists():
            raise UserError(f"--resume: {self.last} does not exist; start without --resume")

    def read_last(self):
        """The state of :meth:`save_last`, on the CPU."""
        try:
            return torch.load(self.last, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle, zip and torch errors alike
            raise UserError(f"--resume: {self.last} cannot be read: {' '.join(str(error).split())[:160]}") from None

    def start(self, rows):
        """Make the folder ready, with the recipe and the first ``rows`` of the log."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.config.resume:
                for name in (self.last, self.path / "best.pth", self.path / "best.npz", self.path / "training.json"):
                    name.unlink(missing_ok=True)
            lines = self.log.read_text(encoding="utf-8").splitlines()[1 : 1 + rows] if rows else []
            _replace(self.log, "\n".join([",".join(LOG_FIELDS), *lines]) + "\n")
            _replace(self.path / "config.yaml", yaml.safe_dump(dataclasses.asdict(self.config), sort_keys=False))

    def add_row(self, row):
        """Append a row ({field: value or None}) to train_log.csv, which src/core/figures.py draws."""
        text = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        with disk_errors(self.log), open(self.log, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, LOG_FIELDS, lineterminator="\n").writerow(text)

    def save_last(self, state):
        """Write last.pt; it is on the disk before the one before is gone."""
        temporary = self.last.with_name(f".{self.last.name}.{os.getpid()}.tmp")
        with disk_errors(self.last):
            with open(temporary, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.last)

    def save_best(self, state_dict, facts):
        """Write weights as best.pth and best.npz, which convert.py --from_asteroid takes, and ``facts`` beside them."""
        model = model_part(self.config)
        arguments = to_arguments(model, self.path)
        arrays = {name: value.detach().float().cpu().numpy() for name, value in state_dict.items()}
        for name in ("best.pth", "best.npz"):
            write_asteroid(self.path / name, MODEL, arguments, arrays)
        with disk_errors(self.path):
            _replace(self.path / "training.json", json.dumps(facts, indent=1) + "\n")


def _replace(path, text):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)

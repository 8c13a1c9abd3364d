"""The training loop: epochs, validation, log, checkpoints, interruption and resume."""

import csv
import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import mindspore as ms
import numpy as np
import yaml
from mindspore import Tensor
from tqdm import tqdm

from src import checkpoint
from src.config import model_part
from src.dataset import Records, TrainLoader, utterances
from src.dynamic_mixing import DynamicLoader
from src.errors import UserError
from src.metrics import Scorer
from src.model import DPRNNTasNet, parameter_count
from src.schedule import learning_rate, milestones
from src.train_step import TrainStep, build_optimizer

LOG_FIELDS = ("step", "epoch", "train_loss", "valid_loss", "valid_si_snri", "lr", "grad_norm", "step_seconds",
              "skipped_steps", "minutes")
SAVE_MINUTES = 10  # last.ckpt is at most this old


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived; the state has been saved."""


class Trainer:
    """Everything one run holds; :meth:`run` trains to the end of the recipe.

    Files in ``save_folder``: last.ckpt (weights, optimizer, position), best.ckpt (weights of the best validation),
    train_log.csv, config.yaml.
    """

    def __init__(self, config):
        self.config = config
        milestones(config)  # a wrong list should fail now, not at its epoch
        self.folder = Path(config.save_folder)
        self.last, self.best_path = self.folder / "last.ckpt", self.folder / "best.ckpt"
        ms.set_seed(config.seed)
        self.loader = make_loader(config)
        self.valid = Records(config.valid_dir, config.sample_rate, config.num_spks) if config.valid_dir else None
        if self.last.exists() and not (config.resume or config.overwrite):
            raise UserError(f"{self.last} exists: --resume continues it, --overwrite starts again, "
                            "or choose another --save_folder")
        self.network = DPRNNTasNet(model_part(config))
        self.network.set_train()
        self.optimizer = build_optimizer(config, self.network)
        self.epoch, self.step, self.position = 0, 0, 0  # position: steps done in this epoch
        self.best, self.skipped, self.bad_in_a_row, self.minutes = None, 0, 0, 0.0
        self.window = []  # (loss, norm, seconds) since the last log row
        if config.resume:
            self._restore()
        elif config.checkpoint:
            found, _, values = checkpoint.read(config.checkpoint)
            if dataclasses.replace(found, dropout=config.dropout) != model_part(config):
                raise UserError(f"--checkpoint {config.checkpoint}: of another architecture than this recipe: "
                                f"{_differences(found, model_part(config))}")
            checkpoint.load_weights(self.network, values, config.checkpoint)
        self.train_step = TrainStep(self.network, self.optimizer, config)
        if self.valid:
            self.validator = Validator(model_part(config), round(config.cv_maxlen * config.sample_rate))

    def run(self):
        """Train to the last epoch, or until the time or step limit. Returns the best validation SI-SNRi (or None).

        Raises:
            Interrupted: asked to stop; last.ckpt holds the state.
            UserError: the loss stayed non-finite.
        """
        config = self.config
        self._start_files()
        steps = len(self.loader)
        print(f"{parameter_count(self.network):,} parameters; {self.loader.describe()}, {steps} steps "
              f"per epoch, {config.epochs} epochs; compiling takes a moment", flush=True)
        self.began, self.saved_at = time.monotonic() - 60 * self.minutes, time.monotonic()
        every = max(1, round(config.valid_every * steps))
        with _Signals() as signals:
            while self.epoch < config.epochs and not self._out_of_budget():
                self._run_epoch(signals, steps, every)
        if self.step and not self.validated:
            self._validate()
        self._save_last()
        return self.best

    def _run_epoch(self, signals, steps, every):
        config = self.config
        self.rate = learning_rate(config, self.epoch)
        label = f"epoch {self.epoch + 1}/{config.epochs}"
        show = sys.stderr.isatty()
        with tqdm(total=steps, initial=self.position, desc=label, unit="step", disable=not show, leave=False) as bar:
            for batch in self.loader.epoch(self.epoch, self.position):
                loss = self._one_step(batch)
                self.position += 1
                bar.update()
                bar.set_postfix(loss=f"{loss:.2f}")
                if self.step % config.log_every == 0:
                    self._log(label, quiet=show)
                if self.position == steps:
                    self.epoch, self.position = self.epoch + 1, 0
                if (self.epoch * steps + self.position) % every == 0 or self.epoch == config.epochs:
                    self._validate()
                elif time.monotonic() - self.saved_at > 60 * SAVE_MINUTES:
                    self._save_last()
                if signals.caught:
                    self._save_last()
                    raise Interrupted
                if self._out_of_budget() or self.position == 0:
                    return

    def _one_step(self, batch):
        """One optimizer step; returns the loss. Counts and reports what was not finite."""
        began = time.monotonic()
        loss, norm, finite = self.train_step(*(Tensor(a) for a in batch), Tensor(self.rate, ms.float32))
        loss, norm, finite = float(loss.asnumpy()), float(norm.asnumpy()), bool(finite.asnumpy())
        self.step += 1
        self.validated = False
        if finite:
            self.bad_in_a_row = 0
            self.window.append((loss, norm, time.monotonic() - began))
            return loss
        self.skipped += 1
        self.bad_in_a_row += 1
        tqdm.write(f"step {self.step}: loss {loss}, gradient norm {norm}: not finite, step skipped "
                   f"({self.skipped} so far)", file=sys.stdout)
        if self.bad_in_a_row >= self.config.max_bad_steps:
            raise UserError(f"{self.bad_in_a_row} steps in a row were not finite, at step {self.step}: stopped; "
                            "last.ckpt is from before. Lower --lr or --clip_norm, or look for broken audio")
        return loss

    def _validate(self):
        """Score the validation set, log, and save last and, if it is the best so far, best."""
        self.validated = True
        where = f"epoch {self.epoch + self.position / len(self.loader):.2f}"
        if self.valid is None:
            self._log(where)
            self._save_last()
            checkpoint.save(self.best_path, self.network, self._info())  # no validation: the latest is the best
            return
        loss, improvement = self.validator(self.network, self.valid)
        self._log(where, valid_loss=loss, valid_si_snri=improvement)
        if np.isfinite(improvement) and (self.best is None or improvement > self.best):
            self.best = improvement
            checkpoint.save(self.best_path, self.network, self._info() | {"valid_loss": loss})
        self._save_last()

    def _log(self, label, valid_loss=None, valid_si_snri=None, quiet=False):
        """One row of train_log.csv with means since the last row, and one line of text."""
        self.minutes = (time.monotonic() - self.began) / 60
        if not self.window and valid_loss is None:
            return
        loss, norm, seconds = np.mean(self.window, 0) if self.window else (None, None, None)
        self.window = []
        row = {"step": self.step, "epoch": f"{self.epoch + self.position / len(self.loader):.4f}", "train_loss": loss,
               "valid_loss": valid_loss, "valid_si_snri": valid_si_snri, "lr": self.rate, "grad_norm": norm,
               "step_seconds": seconds, "skipped_steps": self.skipped, "minutes": self.minutes}
        row = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        with open(self.folder / "train_log.csv", "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, LOG_FIELDS).writerow(row)
        if quiet and valid_loss is None:
            return
        words = [f"{label}, step {self.step}"]
        if loss is not None:
            words += [f"loss {loss:.3f}", f"grad norm {norm:.2f}", f"{seconds:.2f} s/step"]
        if valid_loss is not None:
            words += [f"validation loss {valid_loss:.3f}", f"SI-SNRi {valid_si_snri:.2f} dB"]
        tqdm.write(", ".join(words) + f", {self.minutes:.1f} min", file=sys.stdout)
        sys.stdout.flush()

    def _out_of_budget(self):
        config = self.config
        minutes = (time.monotonic() - self.began) / 60
        return bool((config.max_minutes and minutes >= config.max_minutes)
                    or (config.max_steps and self.step >= config.max_steps))

    def _info(self):
        return {"epoch": self.epoch, "position": self.position, "step": self.step, "valid_si_snri": self.best,
                "skipped": self.skipped, "bad_in_a_row": self.bad_in_a_row, "minutes": self.minutes}

    def _save_last(self):
        self.minutes = (time.monotonic() - self.began) / 60
        checkpoint.save(self.last, self.network, self._info(), self.optimizer)
        self.saved_at = time.monotonic()

    def _restore(self):
        """State of last.ckpt into this trainer."""
        if not self.last.exists():
            raise UserError(f"--resume: {self.last} does not exist; start without --resume")
        found, info, values = checkpoint.read(self.last)
        if found != model_part(self.config):
            raise UserError(f"--resume: {self.last} is of another architecture than this recipe: "
                            f"{_differences(found, model_part(self.config))}")
        checkpoint.load_weights(self.network, values, self.last)
        checkpoint.load_optimizer(self.optimizer, values, self.last)
        self.epoch, self.position, self.step = info["epoch"], info["position"], info["step"]
        self.best, self.skipped = info["valid_si_snri"], info["skipped"]
        self.bad_in_a_row, self.minutes = info["bad_in_a_row"], info["minutes"]
        if self.position >= len(self.loader):
            raise UserError(f"--resume: {self.last} is at step {self.position} of an epoch, which has "
                            f"{len(self.loader)} steps now; go on with the same data, --batch_size and "
                            "--epoch_mixtures")

    def _start_files(self):
        """The folder, its config.yaml, and a log that ends where training goes on."""
        self.validated = True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in self.folder.glob(".*.tmp*"):  # of a killed run
                stale.unlink()
            text = yaml.safe_dump(dataclasses.asdict(self.config), sort_keys=False)
            _write_atomically(self.folder / "config.yaml", text)
            log = self.folder / "train_log.csv"
            rows = []
            if self.config.resume and log.exists():
                with open(log, newline="", encoding="utf-8") as file:
                    rows = [r for r in csv.DictReader(file) if int(r["step"]) <= self.step]
            elif not self.config.resume:
                for stale in (self.last, self.best_path):
                    stale.unlink(missing_ok=True)
            lines = [",".join(LOG_FIELDS)] + [",".join(r[k] for k in LOG_FIELDS) for r in rows]
            _write_atomically(log, "\n".join(lines) + "\n")
        except OSError as error:
            raise UserError(f"--save_folder {self.folder}: {error.strerror or error}") from None


def make_loader(config, rank=0, world=1):
    """The loader of a recipe, for process ``rank`` of ``world``: crops of stored mixtures, or fresh ones."""
    if config.dynamic_mixing:
        return DynamicLoader(config, rank, world)
    records = Records(config.train_dir, config.sample_rate, config.num_spks)
    segment = round(config.segment * config.sample_rate)
    return TrainLoader(records, segment, config.batch_size, config.seed, config.num_workers, rank, world)


class Validator:
    """Mean loss and SI-SNRi over whole utterances, with a network of its own that takes any length.

    The training network is compiled for one crop length; sharing it would compile it again and again.
    """

    def __init__(self, config, max_samples):
        self.network = checkpoint.for_inference(DPRNNTasNet(config))
        self.scorer = Scorer(config.num_spks)
        self.max_samples = max_samples

    def __call__(self, trained, records):
        checkpoint.copy_weights(trained, self.network)
        losses, improvements = [], []
        for item in utterances(records, max_samples=self.max_samples):
            estimates = self.network(Tensor(item.mixture[None])).asnumpy()
            scores = self.scorer(item.mixture[None], item.sources[None], estimates)
            losses.append(-scores["si_snr"].mean())
            improvements.append(scores["si_snri"].mean())
        return float(np.nanmean(losses)), float(np.nanmean(improvements))


class _Signals:
    """Notes SIGINT and SIGTERM instead of dying in the middle of a step; a second SIGINT interrupts at once."""

    caught = False

    def __enter__(self):
        self.before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number, _frame):
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = True
        tqdm.write("stopping after this step, saving last.ckpt ...", file=sys.stdout)

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _differences(found, wanted):
    """Which fields of two configurations differ, in words."""
    pairs = ((f.name, getattr(found, f.name), getattr(wanted, f.name)) for f in dataclasses.fields(found))
    return ", ".join(f"{name} {a} there, {b} here" for name, a, b in pairs if a != b)


def _write_atomically(path, text):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


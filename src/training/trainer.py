"""The training loop: epochs, validation, log, checkpoints, interruption and resume."""

import json
import sys
import time
import zlib

import mindspore as ms
import numpy as np
from mindspore import Tensor
from tqdm import tqdm

from src.core.errors import UserError
from src.core.output import tell
from src.core.signals import Signals
from src.distributed.world import World
from src.network.layers.dropout import seed_dropout
from src.network.registry import build, model_part, parameter_count
from src.tasks.registry import task
from src.training.finetune import differences, freeze, start_from
from src.training.log_line import log_line, peak_gb
from src.training.precision import LossScale, set_precision
from src.training.run_folder import RunFolder
from src.training.schedule import Schedule
from src.training.train_step import build_optimizer, build_step, recompute
from src.training.weight_average import WeightAverage
from src.weights import checkpoint


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived; the state has been saved."""


class Trainer:
    """Everything one run holds; :meth:`run` trains to the end of the recipe. Its files: see src/training/run_folder.py.

    Args:
        config (src.training.config.TrainConfig): the recipe.
        world (src.distributed.world.World): the processes that train together.
    """

    def __init__(self, config, world=None):
        self.config, self.world = config, world or World()
        self.schedule = Schedule(config)
        ms.set_seed(config.seed)  # the same first weights everywhere
        self.task = task(config.task)
        self.loader = self.task.loader(config, self.world)
        self.network = build(model_part(config))
        self.validator = self.task.validator(config, self.world)  # after the network: its weights are random too
        self.files = RunFolder(config, self.world.lead)
        self.network.set_train()
        recompute(self.network, config.recompute)
        set_precision(self.network, config.amp)
        self.frozen = freeze(self.network, config.freeze)
        self.optimizer = build_optimizer(config, self.network)
        self.average = WeightAverage(self.network, config.ema) if config.ema else None
        self.loss_scale = LossScale(config.loss_scale) if config.amp == "fp16" else None
        self.epoch, self.step, self.position = 0, 0, 0  # position: steps done in this epoch
        self.best, self.best_scores = None, {}  # scores: {step: validation score} of the files kept
        self.unsaved = {}  # path: why it could not be written the last time
        self.skipped, self.bad_in_a_row, self.minutes = 0, 0, 0.0
        self.validated_at = 0  # step of the last validation
        self.window = []  # (loss, norm, seconds, seconds with loading) since the last log row
        rows = None
        state = self.files.newest(self.say) if config.resume else None
        if state:
            rows = self._restore(*state)
        elif config.init_from:
            for notice in start_from(self.network, config):
                self.say(notice)
        if self.average and not state:
            self.average.restart(self.network)
        self._check_alike()
        self.first_step = self.step
        self.rate = self.schedule.rate(self.epoch, max(0, self.step - 1))
        self.files.start(rows)
        seed_dropout(self.network, config.seed, self.world.rank, self.step * config.accumulate)
        self.train_step = build_step(self.network, self.optimizer, config, self.world.size)

    # ---- the loop

    def run(self):
        """Train to the last epoch, or until a limit. Returns the best validation score (or None).

        Raises:
            Interrupted: asked to stop; last.ckpt holds the state.
            UserError: the loss stayed non-finite, or at the end the state or the best weights could not be saved.
        """
        config, steps = self.config, len(self.loader)
        together = f" on {self.world.size} devices" if self.world.size > 1 else ""
        frozen = f", {self.frozen:,} of them frozen" if self.frozen else ""
        self.say(f"{parameter_count(self.network) + self.frozen:,} parameters{frozen}; {self.loader.describe()}, "
                  f"{steps} steps per epoch{together}, {config.epochs} epochs; compiling takes a moment")
        self.began, self.saved_at = time.monotonic() - 60 * self.minutes, time.monotonic()
        every = max(1, round(config.valid_every * steps))
        over = self._is_over(*self.world.any(self._is_late()))
        with Signals(self.say) as signals:
            while self.epoch < config.epochs and not over:
                over = self._run_epoch(signals, steps, every)
        if self.step and self.validated_at != self.step:
            self._validate()
        if self.files.saved_step != self.step:
            self._save_last()
        self.files.close()
        self._complain()
        return self.best

    def _run_epoch(self, signals, steps, every):
        """Train to the end of the epoch; returns whether training is over."""
        config = self.config
        label = f"epoch {self.epoch + 1}/{config.epochs}"
        show = sys.stderr.isatty() and self.world.lead
        self.mark = time.monotonic()
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
                stop, late, due = self.world.any(signals.caught, self._is_late(), self._is_save_due())
                if (self.epoch * steps + self.position) % every == 0 or self.epoch == config.epochs:
                    self._validate(planned=True)
                elif due and not stop:
                    self._save_last()
                if stop:
                    self._interrupt()
                if self._is_over(late) or self.position == 0:
                    return self._is_over(late)
                self.mark = time.monotonic()
        return False

    def _one_step(self, batch):
        """One optimizer step; returns the loss. Counts and reports what was not finite."""
        began = time.monotonic()
        self.rate = self.schedule.rate(self.epoch, self.step)
        rates = [self.rate] + ([self.loss_scale.value] if self.loss_scale else [])
        loss, norm, finite = self.train_step(*(Tensor(a) for a in batch), *(Tensor(r, ms.float32) for r in rates))
        loss, norm, finite = float(loss.asnumpy()), float(norm.asnumpy()), bool(finite.asnumpy())
        self.step += 1
        if self.loss_scale:
            self.loss_scale.after(finite)
        if finite:
            if self.average:
                self.average(Tensor(self.average.share(self.step - self.skipped), ms.float32))
            self.bad_in_a_row = 0
            now = time.monotonic()
            self.window.append((loss, norm, now - began, now - self.mark))
            return loss
        self.skipped += 1
        self.bad_in_a_row += 1
        scale = f", loss scale now {self.loss_scale.value:g}" if self.loss_scale else ""
        self.say(f"step {self.step}: loss {loss}, gradient norm {norm}: not finite, step skipped "
                  f"({self.skipped} so far){scale}")
        if self.bad_in_a_row >= self.config.max_bad_steps:
            raise UserError(f"{self.bad_in_a_row} steps in a row were not finite, at step {self.step}: stopped; "
                            "last.ckpt is from before. Lower --lr or --clip_norm, or look for broken audio")
        return loss

    def _validate(self, planned=False):
        """Score the validation set, log, and save last and, if it is among the best, best.

        Args:
            planned (bool): one that the recipe asks for; only these count for plateau and early stop.
        """
        self.validated_at = self.step
        self._check_alike()
        where = f"epoch {self.epoch + self.position / len(self.loader):.2f}"
        if not self.validator:
            self._log(where)
            self._save(self.files.best, self.files.save_best, self.network, self._info(), self._means(),
                       {str(self.step): 0.0})  # the latest
        else:
            weights = self._means() or {p.name: p for p in self.network.get_parameters()}
            loss, score = self.validator(weights)
            self._log(where, valid_loss=loss, valid_score=score)
            better = bool(np.isfinite(score)) and (self.best is None or score > self.best)
            self.best = score if better else self.best
            self._keep_best(loss, score)
            if planned:
                notice = self.schedule.after_validation(better)
                if notice:
                    self.say(notice)
                if self.schedule.stopped:
                    self.say(f"no better {self.task.SCORE.name} in {self.config.early_stop} validations: stopping")
        self._save_last()
        self.files.draw()

    def _keep_best(self, loss, score):
        scores = self.best_scores | ({str(self.step): score} if np.isfinite(score) else {})
        ranked = sorted(scores, key=lambda step: (-scores[step], int(step)))
        before, self.best_scores = self.best_scores, {step: scores[step] for step in ranked[: self.config.keep_best]}
        if str(self.step) in self.best_scores:
            info = self._info() | {"valid_loss": loss, "valid_score": score}
            if not self._save(self.files.best, self.files.save_best, self.network, info, self._means(),
                              self.best_scores):
                self.best_scores = before  # those of the files

    def _interrupt(self):
        self._save_last()
        self.say(f"interrupted at step {self.step}; continue with --resume")
        self.world.sum([0])  # nobody leaves before the state is written
        self._complain()
        raise Interrupted

    def _is_over(self, late):
        config = self.config
        return bool(late or self.schedule.stopped or (config.max_steps and self.step >= config.max_steps))

    def _is_late(self):
        return bool(self.config.max_minutes) and time.monotonic() - self.began >= 60 * self.config.max_minutes

    def _is_save_due(self):
        return time.monotonic() - self.saved_at >= 60 * self.config.save_minutes

    # ---- what is told

    def say(self, text):
        """Print a line; a training goes on where that cannot be."""
        if self.world.lead:
            self.files.lenient("stdout", _print, text)

    def _log(self, label, valid_loss=None, valid_score=None, quiet=False):
        """One row of train_log.csv with means since the last row, and one line of text."""
        self.minutes = (time.monotonic() - self.began) / 60
        if not self.window and valid_loss is None:
            return
        loss, norm, seconds, whole = map(float, np.mean(self.window, 0)) if self.window else [None] * 4
        foreseen = whole and len(self.window) < self.step - self.first_step  # not from the one that was compiled
        self.window = []
        row = {
            "step": self.step, "epoch": f"{self.epoch + self.position / len(self.loader):.4f}", "train_loss": loss,
            "valid_loss": valid_loss, "valid_score": valid_score, "lr": self.rate, "grad_norm": norm,
            "step_seconds": seconds, "skipped_steps": self.skipped, "minutes": self.minutes,
            "audio_per_second": whole and self._step_rows() * self.config.segment / whole, "peak_gb": peak_gb()}
        self.files.log_row(row)
        if not quiet or valid_loss is not None:
            self.say(log_line(label, row, self.task.SCORE, self._seconds_left(whole) if foreseen else None))

    def _seconds_left(self, step_seconds):
        """Foreseen from the time of a step; validation not counted."""
        config, steps = self.config, len(self.loader)
        left = (config.epochs - self.epoch) * steps - self.position
        if config.max_steps:
            left = min(left, config.max_steps - self.step)
        seconds = max(0, left) * step_seconds
        return min(seconds, 60 * max(0, config.max_minutes - self.minutes)) if config.max_minutes else seconds

    # ---- the state

    def _step_rows(self):
        """Mixtures per step, all processes together."""
        return self.config.batch_size * self.config.accumulate * self.world.size

    def _means(self):
        return self.average and self.average.values

    def _info(self):
        return {"epoch": self.epoch, "rows": self.position * self._step_rows(), "step": self.step,
                "valid_score": self.best, "best_scores": self.best_scores, "schedule": self.schedule.state,
                "validated_at": self.validated_at, "skipped": self.skipped, "bad_in_a_row": self.bad_in_a_row,
                "loss_scale": self.loss_scale and [self.loss_scale.value, self.loss_scale.good],
                "window": self.window, "log_rows": self.files.rows, "minutes": self.minutes}

    def _save_last(self):
        self.minutes = (time.monotonic() - self.began) / 60
        self._save(self.files.last, self.files.save_last, self.network, self._info(), self.optimizer, self._means())
        self.saved_at = time.monotonic()

    def _save(self, path, save, *args):
        """``save(*args)``. A file that cannot be written is told of, and tried again when it is saved the next time.

        Returns:
            bool: whether it was saved.
        """
        try:
            save(*args)
        except UserError as error:
            self.unsaved[path] = error
            tell(f"warning: step {self.step}: {error}; {path.name} stays as it was, the training goes on and the next "
                 "save tries again")
            return False
        self.unsaved.pop(path, None)
        return True

    def _complain(self):
        """Raise :class:`UserError` if the newest state, or the best weights, could not be saved."""
        for path, error in self.unsaved.items():
            raise UserError(f"the newest {path.name} could not be saved: {error}")

    def _restore(self, path, found, info, values):
        """A state of this run into this trainer; returns the number of log rows it knows of."""
        if found != model_part(self.config):
            raise UserError(f"--resume: {path} is of another architecture than this recipe: "
                            f"{differences(found, model_part(self.config))}")
        if "rows" not in info:
            raise UserError(f"--resume: {path} holds weights, not the state of a training; --init_from starts from it")
        checkpoint.load_weights(self.network, values, path)
        checkpoint.load_optimizer(self.optimizer, values, path)
        if self.average:
            checkpoint.load_average(self.average.values, values, path)
        self.epoch, self.step = info["epoch"], info["step"]
        self.position = info["rows"] // self._step_rows()
        if info["rows"] % self._step_rows():
            self.say(f"{info['rows']} mixtures of this epoch are done, no whole number of steps of "
                      f"{self._step_rows()}: going on from {self.position * self._step_rows()}")
        if self.position >= len(self.loader):
            raise UserError(f"--resume: {path} is at step {self.position} of an epoch, which has {len(self.loader)} "
                            "steps now; go on with the same data and --epoch_mixtures")
        self.best, self.best_scores = info.get("valid_score", info.get("valid_si_snri")), info["best_scores"]
        self.schedule.state = info["schedule"]
        self.validated_at, self.window = info["validated_at"], info["window"]
        self.skipped, self.bad_in_a_row, self.minutes = info["skipped"], info["bad_in_a_row"], info["minutes"]
        if self.loss_scale and info["loss_scale"]:
            self.loss_scale.value, self.loss_scale.good = info["loss_scale"]
        return info["log_rows"]

    def _check_alike(self):
        """All processes must be at the same place with the same weights, bit for bit."""
        if self.world.size == 1:
            return
        total = zlib.crc32(json.dumps([self.epoch, self.step, self.position, len(self.loader)]).encode())
        for parameter in self.network.get_parameters():
            total = zlib.crc32(parameter.asnumpy().tobytes(), total)
        self.world.check_same(total, "weights or data")


def _print(text):
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()

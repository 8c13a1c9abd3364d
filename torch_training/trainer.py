"""The training loop in PyTorch: the rules of trainer.py and train_step.py on one accelerator."""

import copy
import platform
import time

import numpy as np
import torch

from src.core.errors import UserError
from src.core.signals import Signals
from src.network.registry import model_part
from src.training.log_line import log_line, peak_gb
from src.training.schedule import Schedule, average_share
from torch_training.files import RunFiles
from torch_training.fresh_batches import FreshDataset, batches, rows_per_step
from torch_training.loss import best_permutation, training_scores
from torch_training.network import DPRNNTasNet
from torch_training.start import load_start
from torch_training.validation import Validator


class TorchTrainer:
    """Everything one run holds; :meth:`run` trains until a limit.

    Args:
        config (TorchConfig): the recipe and the data.
        began (float): ``time.monotonic()`` when this call began, for ``max_minutes``.
    Raises:
        UserError: data, files or options that do not fit.
    """

    def __init__(self, config, began):
        self.config, self.began = config, began
        self.schedule, self.files = Schedule(config), RunFiles(config)
        self.device = find_device(config.device)
        self.dataset = FreshDataset(config)
        self.validator = Validator(config.valid, config) if config.valid else None
        torch.manual_seed(config.seed)
        self.model = DPRNNTasNet(model_part(config))
        self.epoch = self.position = self.step = self.skipped = self.bad_in_a_row = self.log_rows = 0
        self.best, self.best_step, self.minutes_before, self.validated_at = None, 0, 0.0, 0
        self.window = []  # (loss, norm, seconds) since the last row of the log
        state = self.files.read_last() if config.resume else None
        if config.init_from and not state:
            load_start(self.model, config)
        self.model.to(self.device).train()
        self.precision = precision_of(config, self.device)
        set_precision(self.model, self.precision)
        self.optimizer = build_optimizer(config, self.model)
        self.average = average_of(self.model) if config.ema else None
        if state:
            self._restore(state)
        self.files.start(self.log_rows)

    # ---- the loop

    def run(self):
        """Train until the recipe's end or a limit. Returns whether it was interrupted; the state is saved."""
        config, steps = self.config, self.dataset.steps()
        print(f"{sum(p.numel() for p in self.model.parameters()):,} parameters on {self._device_name()} "
              f"({self.precision}); {self.dataset.describe()}, {steps} steps per epoch, {config.epochs} epochs",
              flush=True)
        every, self.saved_at, mark = max(1, round(config.valid_every * steps)), time.monotonic(), time.monotonic()
        with Signals(lambda text: print(text, flush=True), "last.pt") as signals:
            source = batches(self.dataset, self.epoch, self.position) if not self._is_over() else ()
            for mixture, sources in source:
                self._one_step(mixture, sources, mark)
                mark = time.monotonic()
                self.position += 1
                if self.position == steps:
                    self.epoch, self.position = self.epoch + 1, 0
                if self.step % config.log_every == 0:
                    self._log()
                if (self.epoch * steps + self.position) % every == 0 or self.epoch == config.epochs:
                    self._validate(planned=True)
                    mark = time.monotonic()
                elif time.monotonic() - self.saved_at >= 60 * config.save_minutes:
                    self._save()
                if signals.caught or self._is_over():
                    break
            if self.step and self.validated_at != self.step and not signals.caught:
                self._validate()
            self._save()
        return signals.caught

    def _one_step(self, mixture, sources, mark):
        """One optimizer step; refuses what is not finite, as src/training/train_step.py."""
        config = self.config
        rate = self.schedule.rate(self.epoch, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, share = 0.0, 0.0 if config.loss_threshold else 1.0
        for part in range(0, len(mixture), config.batch_size):
            best = self._scores(mixture[part : part + config.batch_size], sources[part : part + config.batch_size])
            loss = loss - float(best.detach().mean()) / config.accumulate
            if config.loss_threshold:
                kept = (-best > config.loss_threshold).to(best.dtype)
                best, share = best * kept, share + float(kept.mean()) / config.accumulate
            (-best.mean() / config.accumulate).backward()
        gradients = [p.grad for p in self.model.parameters()]
        if config.loss_threshold:
            torch._foreach_div_(gradients, max(share, 1e-6))
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        norm = float(norm)
        self.step += 1
        if not np.isfinite(loss) or not np.isfinite(norm):
            return self._skip(loss, norm)
        self.bad_in_a_row = 0
        if config.clip_norm and norm > config.clip_norm:
            torch._foreach_mul_(gradients, config.clip_norm / norm)
        if share > 0:  # all learnt: Adam would go on by its momentum
            self.optimizer.step()
        if self.average:
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()),
                                 average_share(config.ema, self.step - self.skipped))
        self.window.append((loss, norm, time.monotonic() - mark))

    def _scores(self, mixture, sources):
        """Score of each utterance under its best permutation [B], dB."""
        mixture, sources = (torch.from_numpy(a).to(self.device, non_blocking=True) for a in (mixture, sources))
        return best_permutation(training_scores(self.model(mixture), sources))[0]

    def _skip(self, loss, norm):
        self.skipped += 1
        self.bad_in_a_row += 1
        print(f"step {self.step}: loss {loss}, gradient norm {norm}: not finite, step skipped ({self.skipped} so far)",
              flush=True)
        if self.bad_in_a_row >= self.config.max_bad_steps:
            raise UserError(f"{self.bad_in_a_row} steps in a row were not finite, at step {self.step}: stopped; "
                            "last.pt is from before. Lower --lr or --clip_norm, or look for broken audio")

    def _validate(self, planned=False):
        """Score the validation tree, log, save; without one the newest weights count as the best."""
        self.validated_at = self.step
        model, loss, improvement = self.average or self.model, None, None
        if self.validator:
            set_precision(model, "fp32")
            loss, improvement = self.validator(model, self.device)
            set_precision(model, self.precision)
        self._log(loss, improvement)
        better = not self.validator or (np.isfinite(improvement) and (self.best is None or improvement > self.best))
        if better:
            self.best, self.best_step = improvement, self.step
            self.files.save_best(model.state_dict(), self._facts())
        if planned and self.validator:
            notice = self.schedule.after_validation(better)
            print(*([notice] if notice else []), sep="", end="\n" if notice else "", flush=True)
        self._save()

    def _is_over(self):
        config = self.config
        late = config.max_minutes and time.monotonic() - self.began >= 60 * config.max_minutes
        return bool(late or self.schedule.stopped or (config.max_steps and self.step >= config.max_steps)
                    or self.epoch >= config.epochs)

    # ---- what is told

    def _minutes(self):
        return self.minutes_before + (time.monotonic() - self.began) / 60

    def _log(self, valid_loss=None, valid_score=None):
        if not self.window and valid_loss is None:
            return
        loss, norm, seconds = map(float, np.mean(self.window, 0)) if self.window else [None] * 3
        self.window = []
        place = self.epoch + self.position / self.dataset.steps()
        row = {"step": self.step, "epoch": f"{place:.4f}", "train_loss": loss, "valid_loss": valid_loss,
               "valid_score": valid_score, "lr": self.schedule.rate(self.epoch, max(0, self.step - 1)),
               "grad_norm": norm, "step_seconds": seconds, "skipped_steps": self.skipped, "minutes": self._minutes(),
               "audio_per_second": seconds and rows_per_step(self.config) * self.config.segment / seconds,
               "peak_gb": self._peak_gb()}
        self.files.add_row(row)
        self.log_rows += 1
        print(log_line(f"epoch {place:.2f}", row), flush=True)

    def _peak_gb(self):
        return torch.cuda.max_memory_allocated(self.device) / 1e9 if self.device.type == "cuda" else peak_gb()

    def _device_name(self):
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def _facts(self):
        """How the best weights were made, for the model's card."""
        return {"step": self.step, "epoch": self.epoch + self.position / self.dataset.steps(),
                "valid_score": self.best, "minutes": round(self._minutes(), 2), "device": self._device_name(),
                "precision": self.precision, "torch": torch.__version__, "python": platform.python_version(),
                "mixtures_per_step": rows_per_step(self.config), "data": self.dataset.describe(),
                "init_from": self.config.init_from, "skipped_steps": self.skipped}

    # ---- the state

    def _save(self):
        self.files.save_last({
            "model": self.model.state_dict(), "average": self.average and self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state, "epoch": self.epoch,
            "rows": self.position * rows_per_step(self.config), "step": self.step, "best": self.best,
            "best_step": self.best_step, "skipped": self.skipped, "bad_in_a_row": self.bad_in_a_row,
            "validated_at": self.validated_at, "window": self.window, "log_rows": self.log_rows,
            "minutes": self._minutes(), "mixtures": self.dataset.mixtures,
            "random": [torch.get_rng_state(), *self._device_random()]})
        self.saved_at = time.monotonic()

    def _device_random(self):
        return [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []

    def _restore(self, state):
        config, rows = self.config, rows_per_step(self.config)
        if state["mixtures"] != self.dataset.mixtures:
            raise UserError(f"--resume: {self.files.last} is of epochs of {state['mixtures']} mixtures, they have "
                            f"{self.dataset.mixtures} now; go on with the same data and --epoch_mixtures")
        if bool(state["average"]) != bool(config.ema):
            raise UserError(f"--resume: {self.files.last} was trained {'with' if state['average'] else 'without'} "
                            "--ema; go on with the same recipe")
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average:
                self.average.load_state_dict(state["average"])
        except (RuntimeError, ValueError) as error:
            raise UserError(f"--resume: {self.files.last} is of another recipe: {' '.join(str(error).split())[:200]}"
                            ) from None
        self.schedule.state, self.epoch, self.position = state["schedule"], state["epoch"], state["rows"] // rows
        self.step, self.skipped, self.bad_in_a_row = state["step"], state["skipped"], state["bad_in_a_row"]
        self.best, self.best_step, self.validated_at = state["best"], state["best_step"], state["validated_at"]
        self.window, self.log_rows, self.minutes_before = state["window"], state["log_rows"], state["minutes"]
        if not (self.files.path / "best.npz").exists():  # it has been left on another machine
            self.best = None
        torch.set_rng_state(state["random"][0])
        if self.device.type == "cuda" and len(state["random"]) > 1:
            torch.cuda.set_rng_state(state["random"][1], self.device)


def find_device(name):
    """The torch device that ``--device`` names.

    Raises:
        UserError: not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not usable here ({' '.join(str(error).split())[:160]})") from None
    return device


def precision_of(config, device):
    """fp32, tf32 or bf16: what ``--precision`` and the recipe's amp come to on a device."""
    wanted = config.precision
    if wanted == "auto":
        wanted = "bf16" if config.amp == "bf16" else "tf32"
    return "fp32" if wanted == "tf32" and device.type != "cuda" else wanted


def set_precision(model, precision):
    """Compute in fp32, tf32 or bf16 from now on."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    model.autocast = torch.bfloat16 if precision == "bf16" else None


def average_of(model):
    """A copy of a model for the running mean of its weights."""
    average = copy.deepcopy(model).requires_grad_(False)
    for module in average.modules():
        if isinstance(module, torch.nn.RNNBase):
            module.flatten_parameters()  # cuDNN wants them in one piece of memory
    return average


def build_optimizer(config, model):
    """Adam or SGD over every parameter, l2 added to the gradient."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), config.lr, config.momentum, weight_decay=config.l2)
    return torch.optim.Adam(model.parameters(), config.lr, weight_decay=config.l2)

"""Amazon SageMaker's container contract: `train` and `serve`, with everything below one root.

`/opt/ml/input/config/hyperparameters.json` and `/opt/ml/input/data/{training,validation}` go in; `/opt/ml/model/`
(model.ckpt and how it was made) or `/opt/ml/output/failure` (and exit status 255) come out. `/opt/ml/checkpoints` keeps
the run, so that a job that was interrupted goes on. The environment variable DPRNN_ML_ROOT moves the root.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import contextlib
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import yaml

from src.core.errors import UserError
from src.core.files import ROOT, copy, write
from src.core.options import check_value, option_names, suggestion
from src.core.recipe import SCRIPT_KEY, read_yaml
from src.network import registry
from src.training.config import TrainConfig, options_class
from src.weights import ready_models

MODEL = "model.ckpt"
FINE_TUNE = dict(lr=2e-4, schedule="plateau", patience=2, epochs=20, early_stop=6, segment=3.0, batch_size=4)
OURS = ("train_dir", "valid_dir", "save_folder", "resume", "overwrite", "distribute", "init_from")
FAILURE_CHARACTERS = 1024  # what the platform shows of the reason


class Folders:
    """The contract's paths."""

    def __init__(self, root):
        root = Path(root)
        self.settings = root / "input" / "config" / "hyperparameters.json"
        self.data, self.model = root / "input" / "data", root / "model"
        self.failure, self.run = root / "output" / "failure", root / "checkpoints" / "dprnn"


def read_settings(path):
    """hyperparameters.json as (settings for train.py, recipe, init_from); every value there is text.

    Raises:
        UserError: not a JSON object, an unknown name, a value of the wrong kind.
    """
    try:
        words = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError):
        raise UserError(f"{path}: not readable as JSON") from None
    if not isinstance(words, dict):
        raise UserError(f"{path}: expected an object of names and values")
    words = {name.replace("-", "_"): _unquoted(value) for name, value in words.items()
             if not name.startswith("sagemaker_")}
    words = {option_names(TrainConfig).get(name, name): value for name, value in words.items()}
    recipe, init_from = words.pop("recipe", ""), words.pop("init_from", "")
    specs = {field.name: field for field in dataclasses.fields(TrainConfig) if field.name not in OURS}
    for name in words:
        if name not in specs:
            hint = suggestion(name, [*specs, "recipe", "init_from"])
            raise UserError(f"{path}: unknown hyperparameter {name!r}{hint}")
    return {name: check_value(name, value, specs[name], str(path)) for name, value in words.items()}, recipe, init_from


def _unquoted(value):
    """A value as it was meant: the platform's SDK writes text as JSON text inside JSON."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def starting_point(init_from, recipe, settings):
    """The checkpoint to fine-tune, or None: from scratch.

    ``init_from`` is a path, the name of a ready model, `none`, or empty: then the default one, unless a recipe or an
    architecture is asked for.
    """
    if init_from.lower() == "none":
        return None
    if init_from:
        return ready_models.find(init_from)
    family = registry.family(registry.DEFAULT)
    shaped = {field.name for field in dataclasses.fields(family.Config)} - set(family.FREE)
    if recipe or shaped & set(settings):
        return None
    ready = ready_models.default()
    if not ready.is_file():
        print(f"{ready.name} is not here: training from scratch", flush=True)
        return None
    return ready


def make_recipe(folders, work):
    """The YAML file for train.py. Returns (its path, its values, the checkpoint to start from or None)."""
    settings, recipe, init_from = read_settings(folders.settings)
    start = starting_point(init_from, recipe, settings)
    values = {}
    if start is not None:
        from src.weights.checkpoint_file import read

        values = vars(read(start)[0]) | FINE_TUNE
    name = recipe or ("" if start else "dprnn_fast")
    if name:
        path = ROOT / "configs" / f"{Path(name).stem}.yaml"
        values |= read_yaml(path, options_class(["--config_path", str(path)]))
    values |= settings
    path = work / "recipe.yaml"
    path.write_text(yaml.safe_dump({SCRIPT_KEY: "train", **values}), encoding="utf-8")
    return path, values, start


def records(folders, work, sample_rate):
    """Record folders for training and validation, made of the channels: (train_dir, valid_dir or "").

    Raises:
        UserError: no channel `training`, or one that cannot be understood.
    """
    from src.container import data_channel as channel  # NumPy and soundfile: serving does without

    training, validation = folders.data / "training", folders.data / "validation"
    if not training.is_dir():
        raise UserError(f"{training}: no such channel; the data to train on comes as the channel training")
    ready = {place: (place / "manifest.json").is_file() for place in (training, validation)}
    parts = {}
    if not ready[training]:
        parts["tr"], broken = channel.find_mixtures(training)
        _say_broken(training, broken)
    if validation.is_dir() and not ready[validation]:
        parts["cv"], broken = channel.find_mixtures(validation)
        _say_broken(validation, broken)
    if not validation.is_dir() and "tr" in parts:
        parts["tr"], parts["cv"] = channel.split(parts["tr"])
        print(f"no channel validation: {len(parts['cv'])} mixtures of training are held out for it", flush=True)
    for name, mixtures in parts.items():
        if mixtures:
            count = channel.write_tree(mixtures, work / "tree" / name, sample_rate)
            if count:
                print(f"{name}: {count} of {len(mixtures)} mixtures resampled to {sample_rate} Hz", flush=True)
            _run("preprocess.py", "--in_dir", work / "tree" / name, "--out_dir", work / "data", "--sample_rate",
                 sample_rate, "--overwrite")
    train_dir = training if ready[training] else work / "data" / "tr"
    if ready[validation]:
        return train_dir, validation
    return train_dir, work / "data" / "cv" if parts.get("cv") else ""


def _say_broken(place, broken):
    for reason, names in broken.items():
        print(f"{place.name}: {len(names)} skipped, {reason}: {', '.join(names[:5])}", flush=True)


def train(folders):
    """Train as the contract says. The best checkpoint becomes the model, not the last."""
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        recipe, values, start = make_recipe(folders, work)
        train_dir, valid_dir = records(folders, work, values.get("sample_rate", 8000))
        begun = (folders.run / "last.ckpt").is_file()
        flags = ["--resume"] if begun else ["--overwrite"]
        if start and not begun:
            flags += ["--init_from", start]
        status = _run("train.py", "--config_path", recipe, "--train_dir", train_dir, "--valid_dir", valid_dir or "",
                      "--save_folder", folders.run, *flags, may_stop=True)
        best = folders.run / "best.ckpt"
        if status and not best.is_file():
            raise UserError("stopped before there was a model")
        publish(folders, best, start, stopped=bool(status))


def publish(folders, best, start, stopped):
    """The best checkpoint and what is known of it to the model folder."""
    folders.model.mkdir(parents=True, exist_ok=True)
    for source, name in ((folders.run / "config.yaml", "config.yaml"), (folders.run / "train_log.csv", "train_log.csv"),
                         (folders.run / "training_curve.png", "training_curve.png"), (best, MODEL)):
        if source.is_file():
            copy(source, folders.model / name)
    print(f"{'stopped early: ' if stopped else ''}the best checkpoint is {folders.model / MODEL}, "
          f"{'fine-tuned from ' + start.name if start else 'trained from scratch'}", flush=True)


def _run(script, *words, may_stop=False):
    """Run a root script and repeat what it says. Its last line on stderr is the reason if it fails.

    Returns:
        int: 0, or with ``may_stop`` 130 after SIGTERM.
    """
    process = subprocess.Popen([sys.executable, str(ROOT / script), *map(str, words)], stderr=subprocess.PIPE,
                               text=True, errors="replace")
    before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    try:
        last = ""
        for line in process.stderr:
            with contextlib.suppress(OSError):  # the training goes on without its log
                sys.stderr.write(line)
            last = line.strip() or last
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if status and not (may_stop and status == 130):
        raise UserError(last.removeprefix("error: ") or f"{script} ended with status {status}")
    return status


def run_train(folders):
    """:func:`train`, its failure told as the contract wants. Returns the exit status."""
    try:
        train(folders)
    except Exception as error:
        mistake = isinstance(error, UserError)
        reason = " ".join(str(error).split()) if mistake else traceback.format_exc()
        print(f"error: {reason}" if mistake else reason, file=sys.stderr, flush=True)
        write(folders.failure, reason[-FAILURE_CHARACTERS:])
        return 255
    return 0


def serve_command(folders, environment):
    """The words that start serve.py.

    Raises:
        UserError: no model in the model folder, and no ready weights.
    """
    found = [folders.model / MODEL] if (folders.model / MODEL).is_file() else []
    found += [path for kind in ("*.ckpt", "*.mindir", "*.onnx") for path in sorted(folders.model.glob(kind))]
    if not found and not ready_models.default().is_file():
        raise UserError(f"{folders.model}: no model there (.ckpt, .mindir, .onnx), and no ready weights here")
    flags = {"--model_path": str(found[0] if found else ready_models.default()), "--host": "0.0.0.0",
             "--port": environment.get("SAGEMAKER_BIND_TO_PORT", "8080"),
             "--workers": environment.get("MODEL_SERVER_WORKERS", "1")}
    if environment.get("MODEL_SERVER_TIMEOUT"):
        flags["--timeout"] = environment["MODEL_SERVER_TIMEOUT"]
    return [sys.executable, str(ROOT / "serve.py"), *(word for pair in flags.items() for word in pair),
            *shlex.split(environment.get("DPRNN_SERVE", ""))]


def main(argv):
    """`train` or `serve`; whatever else the platform passes is not for us."""
    folders = Folders(os.environ.get("DPRNN_ML_ROOT", "/opt/ml"))
    if argv[:1] == ["train"]:
        return run_train(folders)
    if argv[:1] == ["serve"]:
        command = serve_command(folders, os.environ)
        os.execv(command[0], command)
    raise UserError("expected train or serve")

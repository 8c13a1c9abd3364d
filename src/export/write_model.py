"""A trained model as MINDIR, ONNX or MindSpore Lite model with its meta.json, checked before it gets its name."""

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src import __version__
from src.core.device import KERNELS, resolve_target, rnn_kernel
from src.core.errors import UserError
from src.core.files import make_folder, rename, sha256, temporary_name, write
from src.core.names import json_text, shown
from src.core.signals import raise_swallowed
from src.network.registry import family_of
from src.weights import ready_models
from src.weights.checkpoint import build_model
from src.weights.checkpoint_file import SEPARATION
from src.weights.mindspore_runtime import MindSporeRun, load_mindir, read_weights
from src.weights.onnx_cache import TOLERANCE as ONNX_TOLERANCE
from src.weights.onnx_runtime import load_onnx
from src.weights.trained_model import Model, meta_path

SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx", "MINDIR_LITE": ".lite.mindir"}

TOLERANCE = {"MINDIR": 1e-5, "ONNX": ONNX_TOLERANCE}  # largest difference from the checkpoint, samples in [-1, 1]
HALF_SNR = 40.0  # dB, least signal-to-difference ratio of a half-precision export
CHECK_SECONDS = (0.02, 1.0, 2.1)  # lengths a model for any length is checked on; one is shorter than a chunk
LONG_SECONDS = 60.0  # an ONNX model on a long one too: runtimes add up the norms' sums each in its own way
LONG_FRAMES = 65536  # but no more encoder frames than this unless asked: some 100 kB of memory each


def export(config):
    """Write what :class:`src.export.config.ExportConfig` asks for.

    Returns:
        tuple: (path, one line on what the check found).
    Raises:
        UserError: no such model, a request that cannot be met, a folder that cannot be written, or a file that does
            not agree with the checkpoint.
    """
    config = dataclasses.replace(config, device_target=resolve_target(config.device_target),
                                 model_path=str(ready_models.find(config.model_path)))
    refuse(config)
    source, weights = read_weights(config.model_path)
    suffix = SUFFIXES[config.file_format]
    path = Path(config.file_name or Path(config.model_path).with_suffix(suffix))
    ending = f".{suffix.rsplit('.', 1)[1]}"
    if path.suffix != ending:
        path = path.with_name(path.name + ending)
    if path == Path(config.model_path):
        raise UserError(f"{path}: is the model itself; give another --file_name")
    kernel = choose_kernel(config, family_of(source).rnn_type(source))
    length = round(config.static_length * source.sample_rate) if config.static_length else None
    meta = {"format": config.file_format, "sample_rate": source.sample_rate, "num_spks": source.num_spks,
            "input": [config.batch_size or (1 if length else None), length],
            "family": source.family, "task": SEPARATION, "hop": family_of(source).hop(source),
            "config": dataclasses.asdict(source),
            "device_target": config.device_target, "rnn_kernel": kernel, "fp16": config.fp16,
            "checkpoint": shown(Path(config.model_path).name), "checkpoint_sha256": sha256(config.model_path),
            "created_by": f"dprnn {__version__}"}
    make = {"MINDIR": mindir, "ONNX": onnx, "MINDIR_LITE": lite}[config.file_format]
    try:
        make_folder(path.parent)
        # MindSpore exports to paths of few signs alone: no space, nothing beyond ASCII
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / f"model{path.suffix}"
            # compiles when it is first called
            reference = build_model(source, weights, config.model_path)
            found = make(made, weights, reference, meta, config)
            raise_swallowed()
            names = {made: path}
            if config.file_format != "ONNX":  # which carries its facts inside
                names = {meta_path(made): meta_path(path), made: path}
            _put(names)
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror or error}") from None
    return path, found


def _put(files):
    """Copy finished files ({source: path}) to where they belong, all or none of them."""
    temporary = {temporary_name(path): path for path in files.values()}
    try:
        for source, name in zip(files, temporary):
            shutil.copyfile(source, name)
        rename(temporary)
    finally:
        for name in temporary:
            with contextlib.suppress(OSError):
                name.unlink()


def refuse(config):
    """Say what cannot be, before any work.

    Raises:
        UserError: a format or combination of options that does not exist.
    """
    if config.file_format == "AIR":
        raise UserError("--file_format AIR: MindSpore 2.10 deprecates it and writes it on Ascend hosts only; "
                        "ATC and MindSpore Lite take ONNX (--file_format ONNX --static_length SECONDS)")
    if config.file_format != "MINDIR" and (config.fp16 or config.rnn_kernel != "auto"):
        raise UserError(f"--{'fp16' if config.fp16 else 'rnn_kernel'} is for --file_format MINDIR: what runs or "
                        "converts an ONNX model chooses kernels and precision itself")
    if config.file_format == "MINDIR_LITE" and config.device_target == "Ascend" and not config.static_length:
        raise UserError("--file_format MINDIR_LITE --device_target Ascend needs --static_length SECONDS: Ascend "
                        "takes one input length, and ascend310_infer cuts recordings into windows of it")


def choose_kernel(config, rnn_type):
    """The RNN kernel (src/network/layers/rnn.py) a MINDIR is written with; None for the nodes of ONNX.

    Raises:
        UserError: a kernel that does not know this RNN.
    """
    if config.file_format != "MINDIR" or rnn_type is None:
        if config.rnn_kernel != "auto" and rnn_type is None:
            raise UserError(f"--rnn_kernel {config.rnn_kernel}: this network has no RNN")
        return None
    kernel = config.rnn_kernel if config.rnn_kernel != "auto" else rnn_kernel(rnn_type, config.device_target)
    if rnn_type not in KERNELS[kernel]:
        raise UserError(f"--rnn_kernel {kernel} runs {', '.join(KERNELS[kernel])}; the model has {rnn_type}: use loop")
    return kernel


def write_meta(model_path, meta):
    """The sidecar of a finished model file."""
    write(meta_path(model_path), json_text({**meta, "sha256": sha256(model_path)}, indent=1))


def mindir(path, weights, reference, meta, config):
    """Write a MINDIR with its sidecar and compare it with the checkpoint. Returns what was found."""
    network = build_model(reference.config, weights, config.model_path, meta["rnn_kernel"])
    if meta["fp16"]:
        for parameter in network.get_parameters():
            if parameter.ndim == 2:  # matrices; src/network/layers/linear.py computes their products in their precision
                parameter.set_dtype(ms.float16)
    batch, length = meta["input"]
    example = Tensor(shape=[batch, length], dtype=ms.float32)
    if batch and length:
        example = Tensor(np.zeros((batch, length), np.float32))
    network.set_inputs(example)
    try:
        ms.export(network, example, file_name=str(path), file_format="MINDIR")
    except ValueError as error:
        if "illegal" not in str(error):
            raise
        raise UserError(f"{path.parent}: MindSpore exports to a path of ASCII letters, digits and @_-. alone; set "
                        "TMPDIR to another folder") from None
    os.chmod(path, 0o644)  # MindSpore leaves it read-only
    write_meta(path, meta)
    if meta["rnn_kernel"] == "dynamic" and ms.get_context("device_target") != "Ascend":
        return check_weights(path, network)
    run = MindSporeRun(load_mindir(path, batch, length))
    return check(run, reference, meta, check_lengths(meta, config.check_seconds))


def onnx(path, weights, reference, meta, config):
    """Write an ONNX model, meta.json's facts in its metadata, and compare it. Returns what was found."""
    from onnx import checker, save

    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in meta.items()}
    graph = family_of(reference.config).onnx_graph
    if graph is None:
        raise UserError(f"--file_format {config.file_format}: not for the network family {reference.config.family}")
    model = graph(reference.config, weights, text, *meta["input"])
    checker.check_model(model, full_check=True)
    save(model, str(path))
    run = load_onnx(path)[0]
    return check(run, reference, meta, check_lengths(meta, config.check_seconds))


def lite(path, weights, reference, meta, config):
    """Write a checked ONNX model and convert it, with a sidecar, for MindSpore Lite. Returns what was found."""
    from src.export.lite import TOLERANCE as STEPS
    from src.export.lite import check as check_program
    from src.export.lite import convert

    between = path.with_suffix(".onnx")
    try:
        found = onnx(between, weights, reference, {**meta, "format": "ONNX"}, config)
        convert(between, path, config.device_target)
        write_meta(path, meta)
        if config.device_target == "Ascend":
            return f"its ONNX {found}; for Ascend: outputs can be checked there only"
        steps = check_program(path, Model(MindSporeRun(reference), reference.config, *meta["input"]))
        return f"the C++ program differs by at most {steps} steps of 16 bits (limit {STEPS})"
    finally:
        with contextlib.suppress(OSError):
            between.unlink()


def check_lengths(meta, longest):
    """Input lengths, samples, to check an export on; ``longest`` in seconds, 0 chooses."""
    batch, length = meta["input"]
    if length:
        return [length]
    rate = meta["sample_rate"]
    lengths = [round(rate * seconds) for seconds in CHECK_SECONDS]
    if longest:
        return lengths + [round(rate * longest)]
    if meta["format"] == "ONNX" and batch in (None, 1):
        lengths.append(min(round(rate * LONG_SECONDS), LONG_FRAMES * meta["hop"]))
    return lengths


def check(run, reference, meta, lengths):
    """Compare an exported model with the checkpoint it came from, on noise.

    Args:
        run (callable): float32 [B, T] -> [B, C, T].
        reference (DPRNNTasNet): the checkpoint's network.
        meta (dict): what meta.json says.
        lengths (list[int]): input lengths, samples.
    Returns:
        str: what was found.
    Raises:
        UserError: they differ by more than TOLERANCE, or, in half precision, HALF_SNR.
    """
    batch, worst, snr = meta["input"][0], 0.0, np.inf
    for i, samples in enumerate(lengths):
        rows = batch or (2 if i == 1 else 1)
        mixture = np.random.default_rng(i).normal(0, 0.1, (rows, samples)).astype(np.float32)
        wanted = reference(Tensor(mixture)).asnumpy()
        difference = run(mixture) - wanted
        worst = max(worst, float(np.abs(difference).max()))
        error = float((difference**2).sum(dtype=np.float64))
        snr = min(snr, 10 * np.log10((wanted**2).sum(dtype=np.float64) / error) if error else np.inf)
    limit = TOLERANCE[meta["format"]]
    if meta["fp16"]:
        found, agrees = f"half precision: {snr:.0f} dB above its difference from the checkpoint", snr >= HALF_SNR
    else:
        found, agrees = f"differs from the checkpoint by at most {worst:.1e}", worst <= limit  # NaN fails too
    if not agrees:
        raise UserError(f"the exported model disagrees: {found} (limit {HALF_SNR if meta['fp16'] else limit}); "
                        "nothing written")
    return f"{found}, on up to {max(lengths) / meta['sample_rate']:g} s"


def check_weights(path, network):
    """For a graph that only Ascend runs: every weight in the file is the network's."""
    stored = {name: p.asnumpy() for name, p in load_mindir(path).parameters_dict().items()}
    for parameter in network.get_parameters():
        if not np.array_equal(stored.get(parameter.name), parameter.asnumpy()):
            raise UserError(f"the exported model disagrees: {parameter.name} is not the checkpoint's; nothing written")
    return "Ascend kernels: weights checked, outputs can be checked on Ascend only"

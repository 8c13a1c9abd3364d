"""A trained model as MINDIR or ONNX with its meta.json, checked before it gets its name."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src import __version__
from src.checkpoint import build_model
from src.device import KERNELS, rnn_kernel
from src.errors import UserError
from src.inference import file_hash, load_mindir, load_onnx, meta_path, read_weights

TOLERANCE = {"MINDIR": 1e-5, "ONNX": 1e-4}  # largest absolute difference from the checkpoint, samples in [-1, 1]
HALF_SNR = 40.0  # dB, least signal-to-difference ratio of a half-precision export
CHECK_SECONDS = (0.02, 1.0, 2.1)  # lengths a model for any length is checked on; one is shorter than a chunk
LONG_SECONDS = 60.0  # an ONNX model on a long one too: runtimes add up the norms' sums each in its own way
LONG_FRAMES = 65536  # but no more encoder frames than this unless asked: some 100 kB of memory each


def export(config):
    """Write what :class:`src.config.ExportConfig` asks for.

    Returns:
        tuple: (path, one line on what the check found).
    Raises:
        UserError: no such model, a request that cannot be met, a folder that cannot be written, or a file that does
            not agree with the checkpoint.
    """
    if config.file_format == "AIR":
        raise UserError("--file_format AIR: MindSpore 2.10 deprecates it and writes it on Ascend hosts only; "
                        "ATC and MindSpore Lite take ONNX (--file_format ONNX --static_length SECONDS)")
    source, weights = read_weights(config.ckpt_path)
    kernel = choose_kernel(config, source.rnn_type)
    suffix = f".{config.file_format.lower()}"
    path = Path(config.file_name) if config.file_name else Path(config.ckpt_path).with_suffix(suffix)
    if path.suffix != suffix:
        path = path.with_name(path.name + suffix)
    if path == Path(config.ckpt_path):
        raise UserError(f"{path}: is the model itself; give another --file_name")
    length = round(config.static_length * source.sample_rate) if config.static_length else None
    batch = config.batch_size or (1 if length else None)
    reference = build_model(source, weights, config.ckpt_path)
    meta = {"format": config.file_format, "sample_rate": source.sample_rate, "num_spks": source.num_spks,
            "input": [batch, length], "config": dataclasses.asdict(source), "rnn_kernel": kernel,
            "fp16": config.fp16, "checkpoint": Path(config.ckpt_path).name,
            "checkpoint_sha256": file_hash(config.ckpt_path), "created_by": f"dprnn {__version__}"}
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if config.file_format == "ONNX":
            write_onnx(temporary, source, weights, meta)
            run = load_onnx(temporary)
        else:
            network = build_model(source, weights, config.ckpt_path, kernel)
            write_mindir(temporary, network, batch, length, config.fp16)
            run = load_mindir(temporary, batch, length) if kernel != "dynamic" else None
        if run is None:
            found = check_weights(temporary, network)
        else:
            found = check(run, reference, meta, check_lengths(meta, config.check_seconds))
        sidecar = temporary.with_suffix(".json")
        sidecar.write_text(json.dumps({**meta, "sha256": file_hash(temporary)}, indent=1), encoding="utf-8")
        os.replace(temporary, path)
        os.replace(sidecar, meta_path(path))
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # written and renamed, or its folder is a file
            temporary.unlink()
    return path, found


def choose_kernel(config, rnn_type):
    """The RNN kernel (src/rnn.py) a MINDIR is written with; "onnx" has its own nodes.

    Raises:
        UserError: a kernel that does not know this RNN, or an option ONNX has no use for.
    """
    if config.file_format == "ONNX":
        if config.fp16 or config.rnn_kernel != "auto":
            raise UserError(f"--{'fp16' if config.fp16 else 'rnn_kernel'} is for MINDIR: whoever runs or converts an "
                            "ONNX model chooses kernels and precision itself")
        return "onnx"
    kernel = config.rnn_kernel
    if kernel == "auto":
        kernel = rnn_kernel(rnn_type, config.device_target)
    if rnn_type not in KERNELS[kernel]:
        raise UserError(f"--rnn_kernel {kernel} runs {', '.join(KERNELS[kernel])}; the model has {rnn_type}: use loop")
    return kernel


def write_onnx(path, config, weights, meta):
    """Build, check and write an ONNX model; what meta.json says is in its metadata too."""
    import onnx

    from src.onnx_graph import build

    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in meta.items()}
    model = build(config, weights, text, *meta["input"])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def write_mindir(path, network, batch, length, half):
    """Write a MINDIR of ``network``, in half precision if asked."""
    if half:
        for parameter in network.get_parameters():
            if parameter.ndim == 2:  # matrices; src/linear.py computes their products in their precision
                parameter.set_dtype(ms.float16)
    example = Tensor(shape=[batch, length], dtype=ms.float32)
    if batch and length:
        example = Tensor(np.zeros((batch, length), np.float32))
    network.set_inputs(example)
    ms.export(network, example, file_name=str(path), file_format="MINDIR")
    os.chmod(path, 0o644)  # MindSpore leaves it read-only


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
        lengths.append(min(round(rate * LONG_SECONDS), LONG_FRAMES * (meta["config"]["kernel_size"] // 2)))
    return lengths


def check(run, reference, meta, lengths):
    """Compare an exported model with the checkpoint it came from, on noise.

    Args:
        run (callable): Tensor [B, T] -> Tensor [B, C, T].
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
        mixture = Tensor(np.random.default_rng(i).normal(0, 0.1, (rows, samples)).astype(np.float32))
        wanted = reference(mixture).asnumpy()
        difference = run(mixture).asnumpy() - wanted
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

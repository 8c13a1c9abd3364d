"""Checkpoints: written atomically, with the model's configuration inside; and networks and states from them."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import mindspore as ms
from mindspore import Tensor

from src.core.errors import UserError
from src.core.files import make_folder, rename, temporary_name
from src.network.registry import build, model_part
from src.weights.checkpoint_file import AVERAGE_PREFIX, FORMAT, OPTIMIZER_PREFIX, SEPARATION, read


def save(path, network, info, optimizer=None, average=None, task=SEPARATION):
    """Write weights, model configuration and ``info`` to ``path``; the file that is there stays until it is done.

    Args:
        network (nn.Cell): its ``config`` goes along.
        info (dict): JSON-able facts: epoch, step, scores, training state.
        optimizer (nn.Optimizer): its moments and counters are stored too, for resuming.
        average (dict): {name: Parameter}, the mean of the weights: stored beside them with an optimizer, in their place
            without one.
        task (str): what it is trained for, see src/tasks/registry.py.
    Raises:
        UserError: it cannot be written.
    """
    path = Path(path)
    # MindSpore appends .ckpt to other names, and writes to a third one first
    temporary = temporary_name(path.with_name(f"{path.stem}.ckpt"))
    average = average or {}
    items = [{"name": p.name, "data": p} for p in network.get_parameters()]
    if optimizer is None:
        items = [{"name": item["name"], "data": average.get(item["name"], item["data"])} for item in items]
    else:
        items += [{"name": AVERAGE_PREFIX + name, "data": Tensor(p.asnumpy())} for name, p in average.items()]
        items += [{"name": OPTIMIZER_PREFIX + p.name, "data": Tensor(p.asnumpy())} for p in own_parameters(optimizer)]
    config = json.dumps(dataclasses.asdict(model_part(network.config)))
    try:
        make_folder(path.parent)
        ms.save_checkpoint(items, str(temporary), crc_check=True,
                           append_dict={"format": FORMAT, "family": network.config.family, "task": task,
                                        "model_config": config, "info": json.dumps(info)})
        os.chmod(temporary, 0o644)  # MindSpore leaves it read-only
        rename({temporary: path})
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        for leftover in (temporary, temporary.with_suffix(".tmp")):
            with contextlib.suppress(OSError):
                leftover.unlink()


def own_parameters(optimizer):
    """What an optimizer adds to the weights: moments, powers, step counter, learning rate."""
    weights = {p.name for p in optimizer.parameters}
    return [p for p in optimizer.get_parameters() if p.name not in weights]


def load_weights(network, values, path):
    """Copy weights by name into ``network``; every parameter must be there with its shape.

    Raises:
        UserError: one is missing or of another shape.
    """
    for parameter in network.get_parameters():
        value = values.get(parameter.name)
        if value is None:
            raise UserError(f"{path}: lacks the parameter {parameter.name}: corrupt, or of another architecture")
        if tuple(value.shape) != tuple(parameter.shape):
            raise UserError(f"{path}: {parameter.name} is {tuple(value.shape)}, the network has "
                            f"{tuple(parameter.shape)}: of another architecture")
        parameter.set_data(Tensor(value))


def load_optimizer(optimizer, values, path):
    """Restore what :func:`save` stored of the optimizer."""
    _load_group({OPTIMIZER_PREFIX + p.name: p for p in own_parameters(optimizer)}, values, path, "optimizer state")


def load_average(average, values, path):
    """Restore what :func:`save` stored of the mean of the weights ({name: Parameter})."""
    _load_group({AVERAGE_PREFIX + name: p for name, p in average.items()}, values, path, "mean of the weights (--ema)")


def _load_group(parameters, values, path, what):
    for name, parameter in parameters.items():
        value = values.get(name)
        if value is None or tuple(value.shape) != tuple(parameter.shape):
            raise UserError(f"{path}: holds no matching {what}; resume needs a last.ckpt of the same recipe")
        parameter.set_data(Tensor(value))


def load_model(path, kernel=None):
    """The network of a checkpoint, in inference mode, for any batch and length.

    Args:
        path: a checkpoint written by train.py.
        kernel (str): RNN kernel, see src/network/layers/rnn.py; None takes the device's.
    Returns:
        nn.Cell: [B, T] -> [B, C, T]; ``.config`` says what it is.
    Raises:
        UserError: see :func:`src.weights.checkpoint_file.read`.
    """
    config, _, values = read(path)
    return build_model(config, values, path, kernel)


def build_model(config, values, path, kernel=None):
    """The network with the weights ``values`` ({name: array}, read from ``path``), in inference mode."""
    network = build(config, kernel)
    load_weights(network, values, path)
    return for_inference(network)


def for_inference(network):
    """Inference mode, compiled once for every batch and length."""
    network.set_train(False)
    network.set_inputs(Tensor(shape=[None, None], dtype=ms.float32))
    return network

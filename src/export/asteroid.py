"""Models of Asteroid (0.7.0) as checkpoints of ours, and back. What differs between models is in their families."""

import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from src.core.errors import UserError
from src.core.files import replacing
from src.network.registry import FAMILIES, build, family, family_of

FLAGS = ("sample_rate", "K", "norm", "mask_act")  # of convert.py, for what a file does not state
CONFIG_KEY = "__config__"  # entry of an .npz that holds the JSON of get_model_args()

MODEL_KEY = "__model__"  # entry of an .npz with the name of Asteroid's class


def models():
    """{name of Asteroid's class: the family's module that knows it}."""
    known = (family(name).asteroid for name in FAMILIES)
    return {module.MODEL: module for module in known if module}


def read_asteroid(path):
    """Read ``.pth`` (needs torch) or ``.npz``.

    Returns:
        tuple: (name of Asteroid's class, arguments of its constructor or None where the file holds a plain state dict,
        {name: array}).
    Raises:
        UserError: missing, unreadable, no torch, or not a state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    model, arguments, state = (_read_npz if path.suffix == ".npz" else _read_pth)(path)
    if arguments is not None and not isinstance(arguments, dict):
        raise UserError(f"{path}: its arguments are not a mapping")
    # a Lightning checkpoint holds the model as an attribute of the system
    if state and not any(name.startswith("masker.") for name in state):
        state = {name.removeprefix("model."): array for name, array in state.items() if name.startswith("model.")}
    model = model or next((name for name, module in models().items() if module.MARK in state), None)
    if model not in models() or not any(name.startswith("masker.") for name in state):
        raise UserError(f"{path}: {f'is a {model}' if model else 'no model of Asteroid: no masker.* arrays that fit'}; "
                        f"expected one of {', '.join(models())}")
    return model, arguments, state


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise UserError(f"{path}: not readable as .npz ({error})") from None
    text, model = state.pop(CONFIG_KEY, None), state.pop(MODEL_KEY, None)
    try:
        return model and str(model), None if text is None else json.loads(str(text)), state
    except ValueError:
        raise UserError(f"{path}: {CONFIG_KEY} is not JSON") from None


def _read_pth(path):
    torch = _torch(path)
    try:
        # serialize() notes torch's version as an object of torch; nothing else but plain data is unpickled
        with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):
            content = torch.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch errors alike
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not readable as a torch file of plain tensors ({reason[:120]})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a dictionary")
    state = content.get("state_dict", content)
    if not isinstance(state, dict):
        raise UserError(f"{path}: its state_dict is not a dictionary")
    tensors = {name: value.numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    return content.get("model_name"), content.get("model_args"), tensors


def _torch(path):
    try:
        import torch
    except ImportError:
        raise UserError(f"{path}: a .pth needs PyTorch (pip install 'torch>=2.5'); an .npz needs none") from None
    return torch


def import_asteroid(config):
    """``config.from_asteroid`` as a checkpoint at ``config.out``.

    Returns:
        tuple: (configuration, names of our options that the file does not state).
    Raises:
        UserError: an unusable file or option.
    """
    from src.weights import checkpoint

    path = config.from_asteroid
    model, arguments, state = read_asteroid(path)
    theirs = models()[model]
    assumed = []
    if arguments is None:
        arguments, assumed = theirs.arguments_of(state, path)
    for name in FLAGS:  # a flag wins over the file
        if getattr(config, name):
            if name not in theirs.ARGUMENTS:
                raise UserError(f"--{name}: {path} is a {model}, which has no such option")
            key, value = theirs.argument(name, getattr(config, name))
            arguments[key] = value
            assumed = [other for other in assumed if other != key]
    model_config = theirs.to_config(arguments, path)
    network = build(model_config)
    try:
        values = from_state_dict(network, state, theirs.key_of(model_config))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: its arrays do not fit its arguments: {' '.join(map(str, error.args))}") from None
    checkpoint.load_weights(network, values, path)
    checkpoint.save(config.out, network, {"imported_from": Path(path).name})
    return model_config, [theirs.option_of(name) for name in assumed]


def from_state_dict(network, state, key_of):
    """Asteroid's arrays as values for ``network``.

    Args:
        network (nn.Cell): ours, of the same configuration.
        state (dict[str, ndarray]): Asteroid's state dict.
        key_of: function from our parameter name to its key.
    Returns:
        dict[str, ndarray]: our parameter name -> float32 values of our shape.
    Raises:
        KeyError: a parameter is missing. ValueError: a size differs.
    """
    values = {}
    for parameter in network.trainable_params():
        array = np.asarray(state[key_of(parameter.name)], np.float32)
        if array.size != parameter.size:
            raise ValueError(f"{parameter.name}: {parameter.shape} here, {array.shape} there")
        values[parameter.name] = array.reshape(parameter.shape)
    return values


def export_asteroid(config):
    """The checkpoint ``config.to_asteroid`` as ``.pth`` (needs torch) or ``.npz`` at ``config.out``."""
    from src.weights.mindspore_runtime import read_weights

    model_config, values = read_weights(config.to_asteroid)
    theirs = family_of(model_config).asteroid
    if theirs is None:
        raise UserError(f"{config.to_asteroid}: Asteroid has no equal of the network family {model_config.family}")
    key_of = theirs.key_of(model_config)
    state = {key_of(name): array.reshape(theirs.their_shape(name, array.shape))
             for name, array in values.items()}
    state |= {name: np.zeros(shape, np.float32) for name, shape in theirs.idle_arrays(model_config).items()}
    write_asteroid(config.out, theirs.MODEL, theirs.to_arguments(model_config, config.to_asteroid), state)


def write_asteroid(path, model, arguments, state):
    """A model as Asteroid's ``serialize()`` writes it (``.pth``, needs torch) or as ``.npz``.

    Args:
        path: output.
        model (str): name of Asteroid's class.
        arguments (dict): of its constructor.
        state (dict[str, ndarray]): under Asteroid's names, of its shapes.
    Raises:
        UserError: the disk refuses.
    """
    out = Path(path)
    try:
        with replacing(out) as temporary, open(temporary, "wb") as file:
            if out.suffix == ".npz":
                np.savez_compressed(file, **state, **{CONFIG_KEY: json.dumps(arguments), MODEL_KEY: model})
            else:
                torch = _torch(out)
                tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
                torch.save({"model_name": model, "state_dict": tensors, "model_args": arguments,
                            "infos": {"software_versions": {}}}, file)
    except OSError as error:
        raise UserError(f"{out}: cannot write: {error.strerror or error}") from None

"""Models of Asteroid's DPRNNTasNet (0.7.0) as checkpoints of ours, and back."""

import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from src.core.errors import UserError
from src.core.files import replacing
from src.core.options import from_dict
from src.network.dprnn.asteroid_names import from_state_dict, to_asteroid
from src.network.dprnn.config import ModelConfig

CONFIG_KEY = "__config__"  # entry of an .npz that holds the JSON of get_model_args()

# ours -> Asteroid's argument
ARGUMENTS = {"sample_rate": "sample_rate", "in_channels": "n_filters", "out_channels": "out_chan",
             "hidden_channels": "hid_size", "bn_channels": "bn_chan", "kernel_size": "kernel_size",
             "rnn_type": "rnn_type", "norm": "norm_type", "dropout": "dropout", "bidirectional": "bidirectional",
             "num_layers": "n_repeats", "K": "chunk_size", "num_spks": "n_src", "mask_act": "mask_act"}
NORMS = {"gLN": "gln", "cLN": "ln"}  # Asteroid's cLN is per frame; its cumulative cgLN cannot take chunks
# what a plain state dict does not tell, as DPRNNTasNet's constructor has it
UNSTATED = {"sample_rate": 8000, "chunk_size": 100, "norm_type": "gLN", "mask_act": "sigmoid"}


def read_asteroid(path):
    """Read ``.pth`` (needs torch) or ``.npz``.

    Returns:
        tuple: (arguments of the constructor or None where the file holds a plain state dict, {name: array}).
    Raises:
        UserError: missing, unreadable, no torch, or not a state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    arguments, state = (_read_npz if path.suffix == ".npz" else _read_pth)(path)
    if arguments is not None and not isinstance(arguments, dict):
        raise UserError(f"{path}: its arguments are not a mapping")
    # a Lightning checkpoint holds the model as an attribute of the system
    if state and not any(name.startswith("masker.") for name in state):
        state = {name.removeprefix("model."): array for name, array in state.items() if name.startswith("model.")}
    if not any(name.startswith("masker.") for name in state):
        raise UserError(f"{path}: not a DPRNNTasNet of Asteroid: no masker.* arrays")
    return arguments, state


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise UserError(f"{path}: not readable as .npz ({error})") from None
    text = state.pop(CONFIG_KEY, None)
    try:
        return None if text is None else json.loads(str(text)), state
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
    if content.get("model_name", "DPRNNTasNet") != "DPRNNTasNet":
        raise UserError(f"{path}: is a {content['model_name']}, not a DPRNNTasNet")
    state = content.get("state_dict", content)
    if not isinstance(state, dict):
        raise UserError(f"{path}: its state_dict is not a dictionary")
    tensors = {name: value.numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    return content.get("model_args"), tensors


def _torch(path):
    try:
        import torch
    except ImportError:
        raise UserError(f"{path}: a .pth needs PyTorch (pip install 'torch>=2.5'); an .npz needs none") from None
    return torch


def arguments_of(state, path):
    """What the shapes of a plain state dict tell, and Asteroid's defaults for the rest.

    Returns:
        tuple: (arguments, names of those that are assumed).
    """
    try:
        filters, _, kernel = state["encoder.filterbank._filters"].shape
        width = state["masker.bottleneck.1.weight"].shape[0]
        rows, hidden = state["masker.net.0.intra_RNN.rnn.weight_hh_l0"].shape
        arguments = {
            "n_filters": filters, "kernel_size": kernel, "stride": kernel // 2, "bn_chan": width, "hid_size": hidden,
            "rnn_type": {1: "RNN", 3: "GRU", 4: "LSTM"}[rows // hidden],
            "out_chan": state["masker.mask_net.weight"].shape[0],
            "n_src": state["masker.first_out.1.weight"].shape[0] // width,
            "n_repeats": 1 + max(int(name.split(".")[2]) for name in state if name.startswith("masker.net.")),
            "bidirectional": "masker.net.0.inter_RNN.rnn.weight_ih_l0_reverse" in state,
            "num_layers": 2 if "masker.net.0.intra_RNN.rnn.weight_ih_l1" in state else 1,
        }
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{path}: not a state dict of DPRNNTasNet ({error} is missing or of another shape)") from None
    return {**arguments, **UNSTATED}, sorted(UNSTATED)


def to_config(arguments, where):
    """Constructor arguments as :class:`ModelConfig`.

    Raises:
        UserError: an option that this project has no equal for, by name.
    """
    def refuse(name, wanted):
        raise UserError(f"{where}: {name}={arguments.get(name)!r} is not supported, only {wanted}")

    kernel, chunk = arguments.get("kernel_size", 16), arguments.get("chunk_size", 100)
    filters = arguments.get("n_filters", 64)
    fixed = {"fb_name": ("FreeFB", "free"), "num_layers": (1,), "use_mulcat": (False,),
             "encoder_activation": (None, "linear"), "stride": (kernel // 2,), "hop_size": (None, chunk // 2),
             "out_chan": (None, filters), "in_chan": (None, filters), "mask_act": ("relu", "sigmoid"),
             "norm_type": tuple(NORMS)}
    for name, allowed in fixed.items():
        if name in arguments and arguments[name] not in allowed:
            refuse(name, " or ".join(repr(value) for value in allowed))
    known = {*fixed, *ARGUMENTS.values()}
    for name, value in arguments.items():
        if name not in known and value not in (None, 0, False):
            refuse(name, "its absence")
    values = {ours: arguments[theirs] for ours, theirs in ARGUMENTS.items() if arguments.get(theirs) is not None}
    values |= {"out_channels": filters, "norm": NORMS[arguments.get("norm_type", "gLN")],
               "mask_act": arguments.get("mask_act", "sigmoid"), "K": chunk, "kernel_size": kernel,
               "in_channels": filters}
    if isinstance(values.get("sample_rate"), float) and values["sample_rate"].is_integer():
        values["sample_rate"] = int(values["sample_rate"])  # Asteroid keeps it as a float
    return from_dict(ModelConfig, values, where)


def to_arguments(config, path):
    """:class:`ModelConfig` as Asteroid's constructor arguments.

    Raises:
        UserError: what Asteroid cannot express.
    """
    norms = {ours: theirs for theirs, ours in NORMS.items()}
    for name, allowed in (("norm", norms), ("mask_act", ("relu", "sigmoid")), ("out_channels", (config.in_channels,))):
        if getattr(config, name) not in allowed:
            raise UserError(f"{path}: Asteroid has no equal of {name} {getattr(config, name)}")
    arguments = {theirs: getattr(config, ours) for ours, theirs in ARGUMENTS.items()}
    return {**arguments, "fb_name": "free", "stride": config.kernel_size // 2, "norm_type": norms[config.norm],
            "in_chan": config.in_channels, "hop_size": config.K // 2, "num_layers": 1, "use_mulcat": False,
            "encoder_activation": None}


def import_asteroid(config):
    """``config.from_asteroid`` as a checkpoint at ``config.out``.

    Returns:
        tuple: (ModelConfig, names of our options that the file does not state).
    Raises:
        UserError: an unusable file or option.
    """
    from src.network.dprnn.model import DPRNNTasNet
    from src.weights import checkpoint

    path = config.from_asteroid
    arguments, state = read_asteroid(path)
    assumed = []
    if arguments is None:
        arguments, assumed = arguments_of(state, path)
    ours = {theirs: name for name, theirs in ARGUMENTS.items()}
    for name in ("sample_rate", "K", "norm", "mask_act"):  # a flag wins over the file
        if getattr(config, name):
            theirs = ARGUMENTS[name]
            back = {value: key for key, value in NORMS.items()}
            arguments[theirs] = back.get(config.norm, config.norm) if name == "norm" else getattr(config, name)
            assumed = [other for other in assumed if other != theirs]
    model_config = to_config(arguments, path)
    network = DPRNNTasNet(model_config)
    try:
        values = from_state_dict(network, state)
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: its arrays do not fit its arguments: {' '.join(map(str, error.args))}") from None
    checkpoint.load_weights(network, values, path)
    checkpoint.save(config.out, network, {"imported_from": Path(path).name})
    return model_config, [ours[name] for name in assumed]


def export_asteroid(config):
    """The checkpoint ``config.to_asteroid`` as ``.pth`` (needs torch) or ``.npz`` at ``config.out``."""
    from src.network.dprnn.model import DPRNNTasNet
    from src.weights.mindspore_runtime import read_weights

    model_config, values = read_weights(config.to_asteroid)
    arguments = to_arguments(model_config, config.to_asteroid)
    shapes = _their_shapes(DPRNNTasNet(model_config))
    state = {to_asteroid(name): array.reshape(shapes[name]) for name, array in values.items()}
    write_asteroid(config.out, arguments, state)


def write_asteroid(path, arguments, state):
    """A model as Asteroid's ``serialize()`` writes it (``.pth``, needs torch) or as ``.npz``.

    Args:
        path: output.
        arguments (dict): of the constructor, see :func:`to_arguments`.
        state (dict[str, ndarray]): under Asteroid's names, of its shapes.
    Raises:
        UserError: the disk refuses.
    """
    out = Path(path)
    try:
        with replacing(out) as temporary, open(temporary, "wb") as file:
            if out.suffix == ".npz":
                np.savez_compressed(file, **state, **{CONFIG_KEY: json.dumps(arguments)})
            else:
                torch = _torch(out)
                tensors = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
                torch.save({"model_name": "DPRNNTasNet", "state_dict": tensors, "model_args": arguments,
                            "infos": {"software_versions": {}}}, file)
    except OSError as error:
        raise UserError(f"{out}: cannot write: {error.strerror or error}") from None


def _their_shapes(network):
    """Our parameter name -> shape in Asteroid's state dict, whose 1x1 convolutions keep their kernel axes."""
    shapes = {}
    for parameter in network.get_parameters():
        shape = tuple(parameter.shape)
        name = parameter.name
        if name in ("encoder.weight", "decoder.weight"):
            shape = (shape[0], 1, shape[1])
        elif name == "separator.expand.weight":
            shape += (1, 1)
        elif name.startswith("separator.") and name.endswith(".weight") and name.split(".")[1] in (
                "bottleneck", "gate_tanh", "gate_sigmoid", "mask"):
            shape += (1,)
        shapes[name] = shape
    return shapes

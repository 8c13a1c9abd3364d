"""Asteroid's DPRNNTasNet (0.7.0) and ours: arguments of its constructor, names and shapes of its arrays."""

from src.core.errors import UserError
from src.core.options import from_dict
from src.network.dprnn.asteroid_names import to_asteroid
from src.network.dprnn.config import ModelConfig

__all__ = ["ARGUMENTS", "MARK", "MODEL", "argument", "arguments_of", "idle_arrays", "key_of", "option_of",
           "their_shape", "to_arguments", "to_asteroid", "to_config"]

MODEL = "DPRNNTasNet"
MARK = "masker.net.0.intra_RNN.rnn.weight_hh_l0"  # an array that only this model has
# ours -> Asteroid's argument
ARGUMENTS = {"sample_rate": "sample_rate", "in_channels": "n_filters", "out_channels": "out_chan",
             "hidden_channels": "hid_size", "bn_channels": "bn_chan", "kernel_size": "kernel_size",
             "rnn_type": "rnn_type", "norm": "norm_type", "dropout": "dropout", "bidirectional": "bidirectional",
             "num_layers": "n_repeats", "K": "chunk_size", "num_spks": "n_src", "mask_act": "mask_act"}
NORMS = {"gLN": "gln", "cLN": "ln"}  # Asteroid's cLN is per frame; its cumulative cgLN cannot take chunks
# what a plain state dict does not tell, as DPRNNTasNet's constructor has it
UNSTATED = {"sample_rate": 8000, "chunk_size": 100, "norm_type": "gLN", "mask_act": "sigmoid"}


def argument(name, value):
    """An option of ours as (Asteroid's argument, its value)."""
    theirs = {ours: theirs for theirs, ours in NORMS.items()}
    return ARGUMENTS[name], theirs.get(value, value) if name == "norm" else value


def option_of(argument_name):
    """The option of ours for an argument of Asteroid's."""
    return {theirs: ours for ours, theirs in ARGUMENTS.items()}[argument_name]


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


def key_of(config):
    """The function from a parameter name of ours to its key in Asteroid's state dict."""
    return to_asteroid


def idle_arrays(config):
    """{name: shape} of arrays that Asteroid's model has although nothing reads them: none."""
    return {}


def their_shape(name, shape):
    """The shape in Asteroid's state dict of our parameter: 1x1 convolutions keep their kernel axes."""
    if name in ("encoder.weight", "decoder.weight"):
        return shape[0], 1, shape[1]
    if name == "separator.expand.weight":
        return (*shape, 1, 1)
    if name.startswith("separator.") and name.endswith(".weight") and name.split(".")[1] in (
            "bottleneck", "gate_tanh", "gate_sigmoid", "mask"):
        return (*shape, 1)
    return shape

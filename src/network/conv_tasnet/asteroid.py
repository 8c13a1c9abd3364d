"""Asteroid's ConvTasNet (0.7.0) and ours: arguments of its constructor, names and shapes of its arrays."""

import re

from src.core.errors import UserError
from src.core.options import from_dict
from src.network.conv_tasnet.config import ModelConfig

__all__ = ["ARGUMENTS", "MARK", "MODEL", "argument", "arguments_of", "idle_arrays", "key_of", "option_of",
           "their_shape", "to_arguments", "to_config"]

MODEL = "ConvTasNet"
MARK = "masker.TCN.0.shared_block.0.weight"  # an array that only this model has
# ours -> Asteroid's argument
ARGUMENTS = {"sample_rate": "sample_rate", "in_channels": "n_filters", "out_channels": "out_chan",
             "kernel_size": "kernel_size", "bn_channels": "bn_chan", "hidden_channels": "hid_chan",
             "skip_channels": "skip_chan", "conv_kernel_size": "conv_kernel_size", "num_blocks": "n_blocks",
             "num_repeats": "n_repeats", "norm": "norm_type", "causal": "causal", "num_spks": "n_src",
             "mask_act": "mask_act"}
NORMS = {"gLN": "gln", "cgLN": "cln", "cLN": "ln"}  # Asteroid's cLN is per frame
MASKS = ("relu", "sigmoid", "softmax")
# what a plain state dict does not tell, as ConvTasNet's constructor has it
UNSTATED = {"sample_rate": 8000, "n_blocks": 8, "norm_type": "gLN", "mask_act": "sigmoid"}
_RENAMES = (  # ours -> theirs; the first match is replaced
    (r"^(encoder|decoder)\.weight$", r"\1.filterbank._filters"),
    (r"^separator\.norm\.", "masker.bottleneck.0."),
    (r"^separator\.bottleneck\.", "masker.bottleneck.1."),
    (r"^separator\.blocks\.(\d+)\.expand\.", r"masker.TCN.\1.shared_block.0."),
    (r"^separator\.blocks\.(\d+)\.expand_prelu\.", r"masker.TCN.\1.shared_block.1."),
    (r"^separator\.blocks\.(\d+)\.expand_norm\.", r"masker.TCN.\1.shared_block.2."),
    (r"^separator\.blocks\.(\d+)\.depthwise\.", r"masker.TCN.\1.shared_block.3."),
    (r"^separator\.blocks\.(\d+)\.depthwise_prelu\.", r"masker.TCN.\1.shared_block.4."),
    (r"^separator\.blocks\.(\d+)\.depthwise_norm\.", r"masker.TCN.\1.shared_block.5."),
    (r"^separator\.blocks\.(\d+)\.residual\.", r"masker.TCN.\1.res_conv."),
    (r"^separator\.blocks\.(\d+)\.skip\.", r"masker.TCN.\1.skip_conv."),
    (r"^separator\.prelu\.", "masker.mask_net.0."),
    (r"^separator\.mask\.", "masker.mask_net.1."),
)


def argument(name, value):
    """An option of ours as (Asteroid's argument, its value)."""
    theirs = {ours: theirs for theirs, ours in NORMS.items()}
    return ARGUMENTS[name], theirs[value] if name == "norm" else value


def option_of(argument_name):
    """The option of ours for an argument of Asteroid's."""
    return {theirs: ours for ours, theirs in ARGUMENTS.items()}[argument_name]


def arguments_of(state, path):
    """What the shapes of a plain state dict tell, and Asteroid's defaults for the rest.

    Returns:
        tuple: (arguments, names of those that are assumed).
    Raises:
        UserError: arrays are missing; as many blocks as no number of repeats of 8 has.
    """
    causal = "masker.TCN.0.shared_block.3.0.weight" in state
    try:
        filters, _, kernel = state["encoder.filterbank._filters"].shape
        hidden, _, taps = state[f"masker.TCN.0.shared_block.3.{'0.' if causal else ''}weight"].shape
        skip = state["masker.TCN.0.skip_conv.weight"].shape[0] if "masker.TCN.0.skip_conv.weight" in state else 0
        blocks = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("masker.TCN."))
        arguments = {
            "n_filters": filters, "kernel_size": kernel, "stride": kernel // 2, "out_chan": filters,
            "bn_chan": state["masker.bottleneck.1.weight"].shape[0], "hid_chan": hidden, "skip_chan": skip,
            "conv_kernel_size": taps, "causal": causal, "n_repeats": blocks // UNSTATED["n_blocks"],
            "n_src": state["masker.mask_net.1.weight"].shape[0] // filters,
        }
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not a state dict of {MODEL} ({error} is missing or of another shape)") from None
    if blocks % UNSTATED["n_blocks"]:
        raise UserError(f"{path}: {blocks} blocks, and a state dict does not say in how many repeats: save it with "
                        "model.serialize()")
    assumed = {**UNSTATED, "norm_type": "cLN"} if causal else UNSTATED
    return {**arguments, **assumed}, sorted(assumed)


def to_config(arguments, where):
    """Constructor arguments as :class:`ModelConfig`.

    Raises:
        UserError: an option that this project has no equal for, by name.
    """
    def refuse(name, wanted):
        raise UserError(f"{where}: {name}={arguments.get(name)!r} is not supported, only {wanted}")

    kernel, filters = arguments.get("kernel_size", 16), arguments.get("n_filters", 512)
    fixed = {"fb_name": ("FreeFB", "free"), "encoder_activation": (None, "linear"), "stride": (kernel // 2,),
             "out_chan": (None, filters), "in_chan": (None, filters), "mask_act": MASKS, "norm_type": tuple(NORMS)}
    for name, allowed in fixed.items():
        if name in arguments and arguments[name] not in allowed:
            refuse(name, " or ".join(repr(value) for value in allowed))
    known = {*fixed, *ARGUMENTS.values()}
    for name, value in arguments.items():
        if name not in known and value not in (None, 0, False):
            refuse(name, "its absence")
    norm = arguments.get("norm_type", "gLN")
    if arguments.get("causal") and norm == "gLN":
        norm = "cLN"  # as its constructor does
    values = {ours: arguments[theirs] for ours, theirs in ARGUMENTS.items() if arguments.get(theirs) is not None}
    values |= {"in_channels": filters, "out_channels": filters, "kernel_size": kernel, "norm": NORMS[norm]}
    if "skip_chan" in arguments:
        values["skip_channels"] = arguments["skip_chan"] or 0
    if isinstance(values.get("sample_rate"), float) and values["sample_rate"].is_integer():
        values["sample_rate"] = int(values["sample_rate"])  # Asteroid keeps it as a float
    config = from_dict(ModelConfig, values, where)
    _refuse_even_taps(config, where)
    return config


def to_arguments(config, path):
    """:class:`ModelConfig` as Asteroid's constructor arguments.

    Raises:
        UserError: what Asteroid cannot express.
    """
    if config.out_channels != config.in_channels:
        raise UserError(f"{path}: Asteroid has no equal of out_channels {config.out_channels}")
    if config.causal and config.norm == "gln":
        raise UserError(f"{path}: Asteroid has no equal of causal with norm gln")
    _refuse_even_taps(config, path)
    arguments = {theirs: getattr(config, ours) for ours, theirs in ARGUMENTS.items()}
    return {**arguments, "fb_name": "free", "stride": config.kernel_size // 2, "in_chan": config.in_channels,
            "norm_type": argument("norm", config.norm)[1], "encoder_activation": None}


def _refuse_even_taps(config, where):
    if config.conv_kernel_size % 2 == 0 and not config.causal:
        raise UserError(f"{where}: Asteroid has no equal of conv_kernel_size {config.conv_kernel_size}, an even one, "
                        "where it is not causal")


def key_of(config):
    """The function from a parameter name of ours to its key in Asteroid's state dict."""
    def key(name):
        for pattern, replacement in _RENAMES:
            renamed, found = re.subn(pattern, replacement, name)
            if found:  # a causal convolution is the first of a sequence, its chop the second
                return renamed.replace("shared_block.3.", "shared_block.3.0.") if config.causal else renamed
        raise KeyError(name)

    return key


def idle_arrays(config):
    """{name: shape} of arrays that Asteroid's model has although nothing reads them: the last residual path."""
    if not config.skip_channels:
        return {}
    name = f"masker.TCN.{config.num_repeats * config.num_blocks - 1}.res_conv"
    return {f"{name}.weight": (config.bn_channels, config.hidden_channels, 1), f"{name}.bias": (config.bn_channels,)}


def their_shape(name, shape):
    """The shape in Asteroid's state dict of our parameter: 1x1 convolutions keep their kernel axis."""
    if name in ("encoder.weight", "decoder.weight"):
        return shape[0], 1, shape[1]
    return (*shape, 1) if len(shape) == 2 else shape

"""Options: typed dataclass fields that are flags and YAML keys, their other names, and the checks of their values."""

import dataclasses
import difflib
from dataclasses import dataclass, field

from src.core.errors import UserError

# {script: {another name: the option}}. One thing has one name that every script understands: model_path, out_dir (a
# folder), file_name (a file), batch_size, num_workers, speech_dir, noise_dir. Names that scripts had before stay valid.
ALIASES = {
    "preprocess": {"speech_dir": "librispeech_dir", "noise_dir": "wham_dir"},
    "train": {"out_dir": "save_folder", "checkpoint": "init_from"},
    "eval": {"ckpt_path": "model_path"},
    "export": {"ckpt_path": "model_path"},
    "separate": {"ckpt_path": "model_path"},
    "serve": {"ckpt_path": "model_path", "batch_size": "batch", "num_workers": "workers"},
    "convert": {"file_name": "out"},
}

DEVICE_TARGETS = ("auto", "Ascend", "CPU")


def option(default, text, *, choices=None, low=None, high=None, above=None):
    """A dataclass field that is also a flag. ``low``/``high`` are inclusive bounds, ``above`` an exclusive one."""
    return field(default=default, metadata=dict(text=text, choices=choices, low=low, high=high, above=above))


def script_name(cls):
    """The script a config class belongs to: TrainConfig is train's."""
    return cls.__name__.removesuffix("Config").lower()


def option_names(cls):
    """{name: field} of a script's options, by every name they have; hyphens are for the caller to replace."""
    return {f.name: f.name for f in dataclasses.fields(cls)} | ALIASES.get(script_name(cls), {})


def comma_list(text):
    """The words of a text with commas, without empty ones."""
    return [word.strip() for word in text.split(",") if word.strip()]


def check_value(name, value, spec, where):
    """Return ``value`` as the type of field ``spec``, or raise :class:`UserError` naming ``where`` it came from."""
    kind, meta = spec.type, spec.metadata
    try:
        if kind is bool:
            value = _to_bool(value)
        elif isinstance(value, bool) or value is None:
            raise ValueError
        elif kind is int:
            if isinstance(value, float):
                raise ValueError
            value = int(value)
        elif kind is float:
            value = float(value)  # YAML 1.1 reads 1e-3 as text
            if value != value or value in (float("inf"), float("-inf")):
                raise ValueError
        elif kind is tuple:
            value = (value,) if isinstance(value, str) else tuple(value)
            if not all(isinstance(word, str) for word in value):
                raise ValueError
        elif not isinstance(value, str):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "text",
                 tuple: "text, or a list of it"}
        raise UserError(f"{where}: {name} must be {words[kind]}, got {value!r}") from None
    if meta["choices"] and value not in meta["choices"]:
        folded = {c.lower(): c for c in meta["choices"]}
        if str(value).lower() not in folded:
            raise UserError(f"{where}: {name} must be one of {', '.join(meta['choices'])}, got {value!r}")
        value = folded[value.lower()]
    bounds = (("low", "at least", lambda v, b: v >= b), ("high", "at most", lambda v, b: v <= b),
              ("above", "greater than", lambda v, b: v > b))
    for key, words, holds in bounds:
        if meta[key] is not None and not holds(value, meta[key]):
            raise UserError(f"{where}: {name} must be {words} {meta[key]}, got {value}")
    return value


def _to_bool(value):
    if isinstance(value, bool):
        return value
    folded = str(value).strip().lower()
    if folded in ("1", "true", "yes", "on"):
        return True
    if folded in ("0", "false", "no", "off"):
        return False
    raise ValueError(value)


def from_dict(cls, values, where):
    """Build config ``cls`` from a flat mapping; every key must be one of its fields."""
    specs = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(specs))
    if unknown:
        raise UserError(f"{where}: unknown key {unknown[0]!r}{suggestion(unknown[0], specs)}")
    return cls(**{k: check_value(k, v, specs[k], where) for k, v in values.items()})


def require(config, *names):
    """Raise :class:`UserError` if one of the named options is empty."""
    for name in names:
        if not getattr(config, name):
            raise UserError(f"--{name} is missing: give {type(config).__dataclass_fields__[name].metadata['text']}")


def suggestion(word, known):
    """A hint for an unknown name."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; see --help for the list"


@dataclass
class DeviceConfig:
    """Where it runs."""

    device_target: str = option("auto", "auto takes Ascend where there is one, else CPU", choices=DEVICE_TARGETS)
    device_id: int = option(0, "device number", low=0)

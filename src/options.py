"""Options: typed dataclass fields that are flags and YAML keys, and the checks of their values."""

import dataclasses
import difflib
import typing
from dataclasses import field

from src.errors import UserError


def option(default, text, *, choices=None, low=None, high=None, above=None, old=None):
    """A dataclass field that is also a flag. ``low``/``high`` are inclusive bounds, ``above`` an exclusive one;
    ``old`` is a name it had before, which still works."""
    return field(default=default, metadata=dict(text=text, choices=choices, low=low, high=high, above=above, old=old))


def check_value(name, value, spec, where):
    """Return ``value`` as the type of field ``spec``, or raise :class:`UserError` naming ``where`` it came from."""
    kind = spec.type if isinstance(spec.type, type) else typing.get_type_hints(spec.type)
    meta = spec.metadata
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
    except (TypeError, ValueError):
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

"""One configuration path: dataclass defaults, then a YAML file (``--config_path``), then flags.

A recipe's YAML serves all scripts: a key another script owns is passed over, a key nobody owns is an error.
"""

import argparse
import dataclasses
from pathlib import Path

import yaml

from src.config import OLD_NAMES, known_keys
from src.errors import UserError
from src.options import check_value, suggestion


def read_yaml(path):
    """Read a flat YAML recipe and reject keys no script owns. Hyphens in keys read as underscores."""
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config_path {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config_path {path}: not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"--config_path {path}: expected `key: value` lines, found a {type(values).__name__}")
    values = {OLD_NAMES.get(k, k): v for k, v in ((str(k).replace("-", "_"), v) for k, v in values.items())}
    for key in values:
        if key not in known_keys():
            raise UserError(f"--config_path {path}: unknown key {key!r}{suggestion(key, known_keys())}")
    return values


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UserError(f"{message} (see python {self.prog} --help)")


def parse_args(cls, argv, positional=None):
    """Read ``argv`` into a config of class ``cls``.

    Args:
        cls: one of the script dataclasses.
        argv (list[str]): the words after the program name.
        positional (str): a field that may also be given without its flag.
    Raises:
        UserError: unknown flag or key, wrong type, out of range, unreadable YAML.
    """
    prog = cls.__doc__.split(":")[0]
    parser = _Parser(prog=prog, description=cls.__doc__, allow_abbrev=False,
                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config_path", "--config-path", default="", help="YAML recipe; flags win over it")
    specs = {f.name: f for f in dataclasses.fields(cls)}
    for name, spec in specs.items():
        names = filter(None, (name, spec.metadata["old"]))
        spellings = dict.fromkeys(f"--{word}" for n in names for word in (n, n.replace("_", "-")))
        shown = "{" + ",".join(spec.metadata["choices"]) + "}" if spec.metadata["choices"] else name.upper()
        extra = {bool: dict(nargs="?", const="true"), tuple: dict(nargs="+")}.get(spec.type, {})
        parser.add_argument(*spellings, dest=name, default=argparse.SUPPRESS, metavar=shown,
                            help=f"{spec.metadata['text']} (default: {spec.default!r})".replace("%", "%%"), **extra)
    if positional:
        several = specs[positional].type is tuple
        parser.add_argument("_positional", nargs="*" if several else "?", default=None, metavar=positional,
                            help=f"same as --{positional}")
    known, rest = parser.parse_known_intermixed_args(argv)
    if rest:
        bad = rest[0].split("=")[0]
        hint = suggestion(bad.lstrip("-").replace("-", "_"), specs) if bad.startswith("-") else ""
        raise UserError(f"{prog}: unexpected {bad!r}{hint}")
    flags = vars(known)
    config_path = flags.pop("config_path")
    word = flags.pop("_positional", None)
    if word:
        if flags.get(positional, word) != word:
            raise UserError(f"{prog}: {positional} is given twice: {word!r} and {flags[positional]!r}")
        flags[positional] = word
    values = {}
    if config_path:
        for key, value in read_yaml(config_path).items():
            if key in specs:
                values[key] = check_value(key, value, specs[key], config_path)
    for key, value in flags.items():
        values[key] = check_value(f"--{key}", value, specs[key], prog)
    return cls(**values)

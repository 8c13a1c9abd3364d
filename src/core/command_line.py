"""One configuration path: dataclass defaults, then a YAML file (``--config_path``), then flags."""

import argparse
import dataclasses

from src.core.errors import UserError
from src.core.options import check_value, option_names, script_name, suggestion
from src.core.recipe import read_yaml, value_in_yaml


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
    parser, specs = _build(cls, positional), {f.name: f for f in dataclasses.fields(cls)}
    known, rest = parser.parse_known_intermixed_args(argv)
    if rest:
        bad = rest[0].split("=")[0]
        hint = suggestion(bad.lstrip("-").replace("-", "_"), option_names(cls)) if bad.startswith("-") else ""
        raise UserError(f"{parser.prog}: unexpected {bad!r}{hint}")
    flags = vars(known)
    config_path = flags.pop("config_path")
    word = flags.pop("_positional", None)
    if word:
        if flags.get(positional, word) != word:
            raise UserError(f"{parser.prog}: {positional} is given twice: {word!r} and {flags[positional]!r}")
        flags[positional] = word
    recipe = read_yaml(config_path, cls) if config_path else {}
    values = {key: check_value(key, value, specs[key], config_path) for key, value in recipe.items()}
    for key, value in flags.items():
        values[key] = check_value(f"--{key}", value, specs[key], parser.prog)
    return cls(**values)


def chosen(argv, name, default):
    """The value of one option before the class of all of them is known: of a flag, else of the YAML file, else
    ``default``. Mistakes are left to :func:`parse_args`."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in ("config_path", name):
        _add(parser, option, [option], default=None, nargs="?")
    flags = vars(parser.parse_known_args(argv)[0])
    return flags[name] or (value_in_yaml(flags["config_path"], name) if flags["config_path"] else None) or default


def _build(cls, positional):
    names = option_names(cls)
    parser = _Parser(prog=f"{script_name(cls)}.py", description=cls.__doc__, allow_abbrev=False,
                     epilog="Options may be spelled with hyphens. Of an option given twice the last one counts.")
    _add(parser, "config_path", ["config_path"], default="", help="YAML file of options of this script; flags win over "
         "it")
    for spec in dataclasses.fields(cls):
        name = spec.name
        shown = "{" + ",".join(spec.metadata["choices"]) + "}" if spec.metadata["choices"] else name.upper()
        extra = {bool: dict(nargs="?", const="true"), tuple: dict(nargs="+")}.get(spec.type, {})
        others = [other for other, option in names.items() if option == name and other != name]
        also = f"; also: {', '.join(f'--{other}' for other in others)}" if others else ""
        text = f"{spec.metadata['text']} (default: {spec.default!r}{also})".replace("%", "%%")
        _add(parser, name, [name, *others], default=argparse.SUPPRESS, metavar=shown, help=text, **extra)
    if positional:
        several = cls.__dataclass_fields__[positional].type is tuple
        parser.add_argument("_positional", nargs="*" if several else "?", default=None, metavar=positional,
                            help=f"same as --{positional}")
    return parser


def _add(parser, option, names, **words):
    """An option under all its names, with underscores and with hyphens; --help shows the first alone."""
    first, *others = dict.fromkeys(f"--{word}" for name in names for word in (name, name.replace("_", "-")))
    parser.add_argument(first, dest=option, **words)
    if others:
        parser.add_argument(*others, dest=option, **{**words, "help": argparse.SUPPRESS})

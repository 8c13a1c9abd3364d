"""A YAML file of options (a recipe). It belongs to one script: every key is an option of that script.

A first line ``script: train`` says so; without it the keys alone tell. What a script does never depends on a file that
was written for another one, although some options have the same name in several.
"""

import dataclasses
from pathlib import Path

import yaml

from src.core.errors import UserError
from src.core.options import option_names, script_name, suggestion
from src.core.scripts import config_classes, every_config_class

SCRIPT_KEY = "script"


def read_yaml(path, cls):
    """Read a flat YAML file for the script of ``cls``. Hyphens in keys read as underscores, other names as the option.

    Returns:
        dict: {field of ``cls``: value as YAML has it}.
    Raises:
        UserError: unreadable, not flat, a key given twice, one that is unknown, or one of another script.
    """
    where = f"--config_path {path}"
    keys, values = _load(path, where)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected `key: value` lines, found a {type(values).__name__}")
    names = option_names(cls)
    _refuse_repeated(keys, names, where)
    values = {_spelled(key): value for key, value in values.items()}
    _refuse_other_script(values.pop(SCRIPT_KEY, None), cls, where)
    _refuse_foreign(values, cls, where)
    return {names[key]: value for key, value in values.items()}


def value_in_yaml(path, key):
    """What a YAML file says of one key, as text; None where it says nothing, or cannot be read."""
    try:
        values = _load(path, path)[1]
    except UserError:
        return None
    found = {_spelled(name): value for name, value in values.items()} if isinstance(values, dict) else {}
    return str(found[key]) if found.get(key) is not None else None


def dump_yaml(config):
    """The text of a YAML file with every option of a config, which names its script."""
    values = {SCRIPT_KEY: script_name(type(config)), **dataclasses.asdict(config)}
    return yaml.safe_dump(values, sort_keys=False)


def _load(path, where):
    """([(key as written, its line)], value) of a YAML file; the value of an empty one is None."""
    try:
        loader = yaml.SafeLoader(Path(path).read_text(encoding="utf-8-sig"))
        root = loader.get_single_node()
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        keys = [(str(key.value), key.start_mark.line + 1) for key, _ in pairs]  # the value keeps the last of two
        return keys, loader.construct_document(root) if root else None
    except OSError as error:
        raise UserError(f"{where}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or a date of a 13th month
        raise UserError(f"{where}: not valid YAML: {error}") from None


def _spelled(key):
    return str(key).replace("-", "_")


def _refuse_repeated(keys, names, where):
    first = {}  # option -> (key as written, its line)
    for text, line in keys:
        option = names.get(_spelled(text), _spelled(text))
        if option in first:
            other, above = first[option]
            what = f"{text!r} is given twice" if text == other else f"{other!r} and {text!r} are one option"
            raise UserError(f"{where}: {what}, in line {above} and in line {line}; keep one of them")
        first[option] = text, line


def _refuse_other_script(owner, cls, where):
    if owner is None:
        return
    scripts = [script_name(other) for other in config_classes()]
    word = str(owner).removesuffix(".py")
    if word not in scripts:
        raise UserError(f"{where}: {SCRIPT_KEY} is {owner!r}, expected one of {', '.join(scripts)}")
    if word not in (script_name(cls), getattr(cls, "takes_yaml_of", None)):
        raise UserError(f"{where}: `{SCRIPT_KEY}: {word}` in it says that it is for {word}.py, {_advice(cls)}")


def _refuse_foreign(values, cls, where):
    """Keys that are not options of ``cls``: nobody's, or another script's."""
    names = option_names(cls)
    owners = {key: list(dict.fromkeys(f"{script_name(other)}.py" for other in every_config_class()
                                      if key in option_names(other)))
              for key in values if key not in names}
    for key, scripts in owners.items():
        if not scripts:
            raise UserError(f"{where}: unknown key {key!r}{suggestion(key, names)}")
    if owners:
        key = min(owners, key=lambda name: len(owners[name]))  # the one that says most clearly whose file this is
        raise UserError(f"{where}: {key!r} is an option of {', '.join(owners[key])}, {_advice(cls)}")


def _advice(cls):
    """What to do with a file, or key, of another script."""
    script = script_name(cls)
    if script == "train":
        return "not of train.py; a YAML file is for one script: take the key out"
    if "model_path" in option_names(cls):
        return (f"not for {script}.py; leave --config_path out: the model file carries the model's configuration, and "
                f"{script}.py has flags for the rest")
    return f"not for {script}.py; a YAML file is for one script: leave it out, or write one for {script}.py"

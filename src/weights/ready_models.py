"""The models that ship: checkpoints/models.json lists them by name and says which one is the default."""

import functools
import json
from pathlib import Path

from src.core.errors import UserError
from src.core.files import ROOT
from src.core.options import suggestion

FOLDER = ROOT / "checkpoints"
LIST = "models.json"


@functools.cache
def read_list():
    """What checkpoints/models.json holds: ``default``, a name, and ``models``, {name: facts}."""
    return json.loads((FOLDER / LIST).read_text(encoding="utf-8"))


def default():
    """Path of the weights that are taken where no model is named; the file may be missing."""
    return _path(read_list()["default"])


def find(word):
    """The path that is meant by a path, by the name of a ready model, or by nothing: the default.

    Raises:
        UserError: a ready model whose file is not there.
    """
    name = str(word) if word else read_list()["default"]
    if name not in read_list()["models"]:
        return Path(word)
    path = _path(name)
    if not path.is_file():
        raise UserError(f"{path}: the weights of the ready model {name} are not there; name a model (.ckpt, .mindir, "
                        ".onnx)")
    return path


def hint(word):
    """For the error message of a file that is not there: what it may have been meant for."""
    names = list(read_list()["models"])
    if Path(word).suffix or Path(word).name != str(word):
        return ""
    close = suggestion(str(word), names) if names else ""
    return f", and no ready model has that name ({', '.join(names)})" + (close if "did you mean" in close else "")


def _path(name):
    return FOLDER / read_list()["models"][name]["file"]

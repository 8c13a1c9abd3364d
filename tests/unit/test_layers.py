"""Imports point down the list of packages only, and every package says what lives in it."""

import ast

import pytest

from tests.helpers.synth import ROOT

LAYERS = ("core", "audio", "distributed", "network", "weights", "data", "tasks", "training", "separation", "evaluation",
          "export", "service", "container")
FILES = sorted((ROOT / "src").rglob("*.py"))


def imported(path):
    """Names of packages of src that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) else \
            [name.name for name in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name and name.startswith("src."))


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_down(layer):
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    files = sorted((ROOT / "src" / layer).rglob("*.py"))
    upwards = [f"{path.relative_to(ROOT)}: src.{name}" for path in files for name in imported(path)
               if name not in allowed]
    assert files and not upwards


def test_no_module_lies_outside_a_package():
    assert [path.name for path in (ROOT / "src").glob("*.py")] == ["__init__.py"]
    assert {path.parent.name for path in (ROOT / "src").glob("*/__init__.py")} == set(LAYERS)


def test_packages_say_what_lives_in_them():
    packages = [path for path in FILES if path.name == "__init__.py"]
    assert not [str(path) for path in packages if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]

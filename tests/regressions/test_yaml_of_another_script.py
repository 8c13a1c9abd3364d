"""A recipe given to another script changed what that did: it took keys that both have, as batch_size or level_low."""

import dataclasses
import importlib

import pytest
import yaml

from src.core.command_line import parse_args
from src.core.errors import UserError
from src.core.options import script_name
from src.core.scripts import config_classes
from src.data.mixing.config import MixConfig
from src.evaluation.config import EvalConfig
from src.export.config import ExportConfig
from src.training.config import TrainConfig, options_class
from tests.helpers.synth import ROOT

RECIPES = sorted((ROOT / "configs").glob("*.yaml"))
OTHERS = [cls for cls in config_classes() if cls is not TrainConfig]


def old(path, tmp_path):
    """A recipe as they were before they named their script."""
    lines = [line for line in path.read_text().splitlines(True) if not line.startswith("script:")]
    (tmp_path / path.name).write_text("".join(lines))
    return tmp_path / path.name


def as_read(path):
    """What train.py reads."""
    argv = ["--config_path", str(path)]
    return dataclasses.asdict(parse_args(options_class(argv), argv))


def refusal(script, path, *words):
    """The one line that a root script answers with."""
    with pytest.raises(UserError) as found:
        importlib.import_module(script).main(["--config_path", str(path), *words])
    assert "\n" not in str(found.value) and str(path) in str(found.value)
    return str(found.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_for_train_alone(path, tmp_path):
    assert yaml.safe_load(path.read_text())["script"] == "train"
    before = old(path, tmp_path)
    assert as_read(before) == as_read(path)
    for script in map(script_name, OTHERS):
        said = refusal(script, path)
        assert f"`script: train` in it says that it is for train.py, not for {script}.py" in said
        said = refusal(script, before)  # its keys tell
        assert f"is an option of train.py, not for {script}.py" in said
        if script in ("eval", "export", "separate", "serve"):
            assert "leave --config_path out: the model file carries the model's configuration" in said
        else:
            assert f"leave it out, or write one for {script}.py" in said


def test_what_a_script_does_is_the_same_or_an_error(tmp_path):
    """Whatever part of a recipe: with one key of train's own, no other script takes any of it."""
    values = yaml.safe_load((ROOT / "configs" / "dprnn_voices.yaml").read_text())
    for cls, shared in ((ExportConfig, "batch_size"), (EvalConfig, "batch_size"), (MixConfig, "level_low")):
        for key in ("lr", "in_channels", "epochs"):
            (tmp_path / "r.yaml").write_text(yaml.safe_dump({shared: values[shared], key: values[key]}))
            said = refusal(script_name(cls), tmp_path / "r.yaml")
            assert f"'{key}' is an option of train.py, not for {script_name(cls)}.py" in said


@pytest.mark.parametrize("key, owner", [
    ("cal_sdr", "eval.py"), ("file_format", "export.py"), ("in_dir", "preprocess.py"), ("port", "serve.py"),
    ("speech_dir", "preprocess.py, mix.py")])
def test_keys_of_other_scripts_in_a_recipe(tmp_path, key, owner):
    for head in ("", "script: train\n"):
        (tmp_path / "r.yaml").write_text(f"{head}lr: 1e-3\n{key}: 1\n")
        with pytest.raises(UserError, match=f"'{key}' is an option of {owner}, not of train.py; .*take the key out"):
            parse_args(TrainConfig, ["--config_path", str(tmp_path / "r.yaml")])


def test_a_yaml_of_the_script_itself_works(tmp_path):
    (tmp_path / "e.yaml").write_text("script: export\nckpt_path: a.ckpt\nbatch_size: 4\n")
    (tmp_path / "m.yaml").write_text("level-low: -36\nlevel_high: -26\n")
    config = parse_args(ExportConfig, ["--config_path", str(tmp_path / "e.yaml")])
    assert (config.model_path, config.batch_size) == ("a.ckpt", 4)
    config = parse_args(MixConfig, ["--config_path", str(tmp_path / "m.yaml"), "--level_low", "-30"])
    assert (config.level_low, config.level_high) == (-30, -26)


def test_what_train_writes_is_a_recipe_of_train(tmp_path):
    from src.training.run_folder import RunFolder

    config = TrainConfig(save_folder=str(tmp_path), lr=2e-4, K=20)
    RunFolder(config).start()
    assert (tmp_path / "config.yaml").read_text().startswith("script: train\n")
    assert parse_args(TrainConfig, ["--config_path", str(tmp_path / "config.yaml")]) == config
    assert "for train.py, not for eval.py" in refusal("eval", tmp_path / "config.yaml")
    before = old(tmp_path / "config.yaml", tmp_path)  # as earlier versions wrote it
    assert parse_args(TrainConfig, ["--config_path", str(before)]) == config

"""One config path: defaults, YAML, flags."""

import pytest

from src.arguments import parse_args
from src.config import SCRIPT_CONFIGS, EvalConfig, ModelConfig, SeparateConfig, TrainConfig, model_part
from src.errors import UserError
from src.options import from_dict, require
from tests.synth import ROOT


def test_flags_win_over_yaml_over_defaults(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("lr: 1e-4\nK: 50\nbn-channels: 32\ncal_sdr: true\n")  # cal_sdr is eval's: passed over
    config = parse_args(TrainConfig, ["--config_path", str(recipe), "--K", "60"])
    assert (config.lr, config.K, config.bn_channels, config.num_layers) == (1e-4, 60, 32, 6)


def test_hyphens_and_underscores_are_one_flag():
    assert parse_args(TrainConfig, ["--kernel-size", "16"]) == parse_args(TrainConfig, ["--kernel_size=16"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_recipes_parse(path):
    config = parse_args(TrainConfig, ["--config_path", str(path)])
    assert model_part(config).num_spks == 2


@pytest.mark.parametrize("argv, word", [
    (["--learning_rate", "1"], "--learning_rate"), (["--kernal_size", "2"], "did you mean kernel_size"),
    (["--K", "abc"], "whole number"), (["--K", "2.5"], "whole number"), (["--lr", "0"], "greater than 0"),
    (["--lr", "nan"], "a number"), (["--norm", "batch"], "one of gln, cln, ln"), (["--kernel_size", "1"], "at least 2"),
    (["--resume", "maybe"], "true or false"), (["stray"], "stray"), (["--K"], "expected one argument"),
])
def test_bad_flags(argv, word):
    with pytest.raises(UserError, match=word):
        parse_args(TrainConfig, argv)


@pytest.mark.parametrize("text, word", [
    ("kernal_size: 2", "did you mean kernel_size"), ("K: [1, 2]", "whole number"), ("K: 2.5", "whole number"),
    ("norm: true", "must be text"), ("- a\n- b", "key: value"), ("a: b: c", "not valid YAML"), ("K:", "whole number"),
])
def test_bad_yaml(tmp_path, text, word):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(text)
    with pytest.raises(UserError, match=word):
        parse_args(TrainConfig, ["--config_path", str(recipe)])


def test_missing_yaml():
    with pytest.raises(UserError, match="No such file"):
        parse_args(TrainConfig, ["--config_path", "/nowhere.yaml"])


def test_booleans_choices_and_positional():
    assert parse_args(EvalConfig, ["--cal_sdr", "1"]).cal_sdr is True
    assert parse_args(EvalConfig, ["--cal_sdr"]).cal_sdr is True
    assert parse_args(EvalConfig, ["--cal_sdr", "0"]).cal_sdr is False
    assert parse_args(TrainConfig, ["--rnn_type", "gru"]).rnn_type == "GRU"
    words = ["a.wav", "--window", "5", "b.wav", "-", "--overwrite"]
    assert parse_args(SeparateConfig, words, positional="input").input == ("a.wav", "b.wav", "-")
    assert parse_args(SeparateConfig, ["--input", "a.wav", "b.wav"], positional="input").input == ("a.wav", "b.wav")
    with pytest.raises(UserError, match="twice"):
        parse_args(SeparateConfig, ["a.wav", "--input", "b.wav"], positional="input")


def test_require_and_from_dict():
    with pytest.raises(UserError, match="--model_path is missing"):
        require(EvalConfig(), "model_path")
    with pytest.raises(UserError, match="unknown key 'layers'"):
        from_dict(ModelConfig, {"layers": 3}, "file")


def test_defaults_pass_their_own_checks():
    for cls in SCRIPT_CONFIGS:
        assert from_dict(cls, vars(cls()), "defaults") == cls()

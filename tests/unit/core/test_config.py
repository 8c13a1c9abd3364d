"""One config path: defaults, YAML, flags; one name for one thing."""

import dataclasses

import pytest

from src.core.command_line import parse_args
from src.core.errors import UserError
from src.core.options import ALIASES, comma_list, from_dict, option_names, require, script_name
from src.core.recipe import dump_yaml, read_yaml
from src.core.scripts import config_classes
from src.data.records.config import PreprocessConfig
from src.evaluation.config import EvalConfig
from src.export.config import ExportConfig
from src.network.dprnn.config import ModelConfig
from src.network.registry import model_part
from src.separation.config import SeparateConfig
from src.service.config import ServeConfig
from src.training.config import TrainConfig, options_class
from tests.helpers.synth import ROOT

# options of the original repository's scripts, which stay valid
ORIGINAL = {
    "preprocess": "in_dir out_dir sample_rate train_name test_name",
    "train": "train_dir valid_dir sample_rate segment cv_maxlen in_channels out_channels hidden_channels bn_channels "
             "kernel_size rnn_type norm num_layers K num_spks lr l2 momentum batch_size device_target device_id",
    "eval": "model_path cal_sdr data_dir batch_size device_target device_id ckpt_path",
    "export": "ckpt_path device_target device_id",
}


def test_flags_win_over_yaml_over_defaults(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("lr: 1e-4\nK: 50\nbn-channels: 32\n")
    config = parse_args(TrainConfig, ["--config_path", str(recipe), "--K", "60"])
    assert (config.lr, config.K, config.bn_channels, config.num_layers) == (1e-4, 60, 32, 6)


def test_hyphens_and_underscores_are_one_flag():
    assert parse_args(TrainConfig, ["--kernel-size", "16"]) == parse_args(TrainConfig, ["--kernel_size=16"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_recipes_parse(path):
    argv = ["--config_path", str(path)]
    config = parse_args(options_class(argv), argv)
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
    ("milestones: 2024-13-01", "not valid YAML"), ("K: " + "[" * 5000, "not valid YAML"), ("word", "key: value"),
    ("lr: 1" + "0" * 400, "must be a number"), ("[a, b]: 1", "not valid YAML"), ("script: sing", "one of preprocess"),
])
def test_bad_yaml(tmp_path, text, word):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(text)
    with pytest.raises(UserError, match=word):
        parse_args(TrainConfig, ["--config_path", str(recipe)])


def test_missing_yaml():
    with pytest.raises(UserError, match="No such file"):
        parse_args(TrainConfig, ["--config_path", "/nowhere.yaml"])


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeffK: 250\r\n", "script: train\n", "script: train.py",
                                  "K: &k 250\n", "<<: {K: 9, num_layers: 6}\nK: 250\n"])
def test_yaml_that_is_good(tmp_path, text):
    (tmp_path / "r.yaml").write_bytes(text.encode())
    assert parse_args(TrainConfig, ["--config_path", str(tmp_path / "r.yaml")]) == TrainConfig()


@pytest.mark.parametrize("cls", config_classes(), ids=script_name)
def test_a_whole_config_as_yaml_comes_back_and_is_for_its_script_alone(tmp_path, cls):
    path = tmp_path / "c.yaml"
    config = dataclasses.replace(cls(), **{f.name: 7 for f in dataclasses.fields(cls) if f.name == "num_workers"})
    path.write_text(dump_yaml(config))
    assert path.read_text().startswith(f"script: {script_name(cls)}\n")
    assert cls(**read_yaml(path, cls)) in (config, dataclasses.replace(config, **{
        f.name: list(f.default) for f in dataclasses.fields(cls) if f.type is tuple}))
    assert parse_args(cls, ["--config_path", str(path)]) == config
    for other in config_classes():
        if other is not cls:
            with pytest.raises(UserError, match=f"for {script_name(cls)}.py, not "):
                parse_args(other, ["--config_path", str(path)])


@pytest.mark.parametrize("cls", config_classes(), ids=script_name)
def test_every_name_of_an_option_is_the_option(tmp_path, cls):
    script, names = script_name(cls), option_names(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    assert set(ALIASES.get(script, {}).values()) <= set(fields), "an alias of an option that there is"
    assert not set(ALIASES.get(script, {})) & set(fields), "an alias is not the name of another option"
    assert set(ORIGINAL.get(script, "").split()) <= set(names)
    for name, option in ALIASES.get(script, {}).items():
        value = "3" if fields[option].type is int else "x"
        expected = parse_args(cls, [f"--{option}", value])
        assert getattr(expected, option) == fields[option].type(value) != fields[option].default
        (tmp_path / "c.yaml").write_text(f"{name}: {value}")
        for argv in ([f"--{name}", value], [f"--{name.replace('_', '-')}={value}"],
                     ["--config_path", str(tmp_path / "c.yaml")]):
            assert parse_args(cls, argv) == expected


def test_one_name_for_one_thing():
    """What a script's option means is found under the same name in every script that has such a thing."""
    common = {"model_path": "eval export separate serve", "out_dir": "preprocess mix train eval separate",
              "file_name": "export convert", "batch_size": "train eval export serve",
              "num_workers": "preprocess mix train eval serve", "speech_dir": "preprocess mix",
              "noise_dir": "preprocess mix train", "device_target": "train eval export separate serve"}
    scripts = {script_name(cls): cls for cls in config_classes()}
    for name, having in common.items():
        assert {script for script, cls in scripts.items() if name in option_names(cls)} == set(having.split()), name


def test_help_names_the_aliases(capsys):
    with pytest.raises(SystemExit):
        parse_args(ExportConfig, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: ''; also: --ckpt_path)" in text and "--model_path MODEL_PATH" in text
    assert "--ckpt-path" not in text and "--config_path" in text


def test_the_last_of_a_flag_given_twice_counts():
    assert parse_args(TrainConfig, ["--K", "20", "--K", "30"]).K == 30
    assert parse_args(ExportConfig, ["--model_path", "a", "--ckpt-path", "b"]).model_path == "b"
    assert parse_args(ExportConfig, ["--ckpt_path", "b", "--model_path", "a"]).model_path == "a"


@pytest.mark.parametrize("cls, text, words", [
    (TrainConfig, "lr: 1\nK: 2\nlr: 2", "'lr' is given twice, in line 1 and in line 3"),
    (TrainConfig, "# c\n\nlr: 1\nlr: 1", "'lr' is given twice, in line 3 and in line 4"),
    (TrainConfig, "script: train\nscript: eval", "'script' is given twice, in line 1 and in line 2"),
    (TrainConfig, "bn_channels: 1\nbn-channels: 2", "'bn_channels' and 'bn-channels' are one option, in line 1 and"),
    (ExportConfig, "ckpt_path: a\nmodel_path: a", "'ckpt_path' and 'model_path' are one option, in line 1 and in line"),
    (ServeConfig, "{port: 1,\nbatch: 2, port: 3}", "'port' is given twice, in line 1 and in line 2"),
    (PreprocessConfig, "nonsense: 1\nnonsense: 2", "'nonsense' is given twice"),
])
def test_a_key_given_twice(tmp_path, cls, text, words):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as found:
        parse_args(cls, ["--config_path", str(path)])
    assert words in str(found.value) and str(path) in str(found.value) and "\n" not in str(found.value)


def test_words_with_commas():
    assert comma_list(" a, b,,c ,") == ["a", "b", "c"] and comma_list("") == comma_list(" , ") == []


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
    for cls in config_classes():
        assert from_dict(cls, vars(cls()), "defaults") == cls()

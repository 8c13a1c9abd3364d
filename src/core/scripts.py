"""The scripts, and where their options are: loaded by name when asked for, so that nothing here imports upwards."""

import importlib

OPTIONS = {
    "preprocess": ("src.data.records.config", "PreprocessConfig"),
    "mix": ("src.data.mixing.config", "MixConfig"),
    "train": ("src.training.config", "TrainConfig"),
    "eval": ("src.evaluation.config", "EvalConfig"),
    "export": ("src.export.config", "ExportConfig"),
    "separate": ("src.separation.config", "SeparateConfig"),
    "serve": ("src.service.config", "ServeConfig"),
    "convert": ("src.export.config", "ConvertConfig"),
}


def config_class(script):
    """The dataclass of a script's options."""
    module, name = OPTIONS[script]
    return getattr(importlib.import_module(module), name)


def config_classes():
    """Those of all scripts."""
    return [config_class(script) for script in OPTIONS]


def every_config_class():
    """Those of all scripts, and train.py's for each network family."""
    train = importlib.import_module(OPTIONS["train"][0])
    return [*config_classes(), *train.classes_of_families()]

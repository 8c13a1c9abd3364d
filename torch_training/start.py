"""Weights to start from: of another run, or of a checkpoint through convert.py --to_asteroid."""

import dataclasses

import torch

from src.core.errors import UserError
from src.export.asteroid import read_asteroid
from src.network.dprnn.asteroid import arguments_of, to_config
from src.network.registry import model_part

FREE = ("dropout", "sample_rate", "K")  # may differ: no weight's shape follows from them


def load_start(model, config):
    """Weights of ``config.init_from`` into ``model``.

    Raises:
        UserError: unreadable, or of an architecture that is not this one.
    """
    path, wanted = config.init_from, model_part(config)
    _, arguments, state = read_asteroid(path)
    stated = arguments is not None
    found = to_config(arguments if stated else arguments_of(state, path)[0], path)
    free = FREE if stated else (*FREE, "norm", "mask_act")
    others = [f"{field.name} {getattr(found, field.name)} there, {getattr(wanted, field.name)} here"
              for field in dataclasses.fields(found)
              if field.name not in free and getattr(found, field.name) != getattr(wanted, field.name)]
    if others:
        raise UserError(f"--init_from {path}: of another architecture than this recipe: {', '.join(others)}")
    try:
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    except RuntimeError as error:
        raise UserError(f"--init_from {path}: its arrays do not fit: {' '.join(str(error).split())[:200]}") from None

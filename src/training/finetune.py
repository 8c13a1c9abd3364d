"""Fine-tuning: weights of another run as a start, and parts that stay as they are."""

import dataclasses

from src.core.errors import UserError
from src.network.registry import family_of, model_part
from src.weights import checkpoint


def start_from(network, config):
    """Weights of ``config.init_from`` into ``network``; what is of another size keeps its random start.

    Returns:
        list[str]: notices to print.
    Raises:
        UserError: unreadable, or of an architecture that is not this one.
    """
    path, wanted = config.init_from, model_part(config)
    found, _, values = checkpoint.read(path)
    if found.family != wanted.family:
        raise UserError(f"--init_from {path}: is a {found.family} network, this recipe a {wanted.family}")
    free = family_of(wanted).FREE
    if dataclasses.replace(found, **{name: getattr(wanted, name) for name in free}) != wanted:
        raise UserError(f"--init_from {path}: of another architecture than this recipe: "
                        f"{differences(found, wanted, but=free)}")
    mine = {p.name: p for p in network.get_parameters()}
    fresh = []
    if found.num_spks != wanted.num_spks:
        fresh = [name for name, p in mine.items() if name in values and tuple(values[name].shape) != tuple(p.shape)]
        values = values | {name: mine[name].asnumpy() for name in fresh}
    checkpoint.load_weights(network, values, path)
    notices = []
    if fresh:
        notices.append(f"--init_from {path}: {found.num_spks} speakers there, {wanted.num_spks} here: not taken, "
                       f"started at random: {', '.join(fresh)}")
    others = differences(found, wanted, but=("dropout", "num_spks"))
    if others:
        notices.append(f"--init_from {path}: the same weights are used with {others}")
    return notices


def freeze(network, parts):
    """Take the parameters of ``parts`` (comma-separated names of parts of the network) out of training.

    Returns:
        int: how many values stay as they are.
    Raises:
        UserError: a part that does not exist, or nothing left to train.
    """
    frozen = 0
    for part in filter(None, (word.strip() for word in parts.split(","))):
        chosen = [p for p in network.get_parameters() if p.name == part or p.name.startswith(f"{part}.")]
        if not chosen:
            raise UserError(f"--freeze {part}: no such part; there are {', '.join(part_names(network))}")
        for parameter in chosen:
            frozen += parameter.size if parameter.requires_grad else 0
            parameter.requires_grad = False
    if frozen and not network.trainable_params():
        raise UserError(f"--freeze {parts}: leaves nothing to train")
    return frozen


def part_names(network):
    """encoder, separator, separator.norm, ..., separator.blocks.0, ..., decoder."""
    names = {}
    for parameter in network.get_parameters():
        words = parameter.name.split(".")
        names[words[0]] = None
        if len(words) > 2:
            names[".".join(words[: 3 if words[1] == "blocks" else 2])] = None
    return list(names)


def differences(found, wanted, but=()):
    """Which fields of two configurations differ, in words."""
    names = [f.name for f in dataclasses.fields(found) if f.name not in but]
    pairs = ((name, getattr(found, name), getattr(wanted, name)) for name in names)
    return ", ".join(f"{name} {a} there, {b} here" for name, a, b in pairs if a != b)

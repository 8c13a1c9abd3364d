"""What can be set: the recipe of train.py, and where this machine has its data."""

from dataclasses import dataclass
from typing import ClassVar

from src.core.errors import UserError
from src.core.options import option, require
from src.training.config import TrainConfig

# recipe key -> the values that this script can follow
SUPPORTED = {"dynamic_mixing": (True,), "norm": ("gln", "ln"), "mask_act": ("relu", "sigmoid"), "freeze": ("",),
             "amp": ("none", "bf16"), "tensorboard": (False,), "distribute": (False,)}


@dataclass
class TorchConfig(TrainConfig):
    """train_torch.py: a recipe of train.py on fresh mixtures, with PyTorch; train_dir and valid_dir are not read."""

    takes_yaml_of: ClassVar[str] = "train"  # its recipes

    speech_dir: str = option("", "wav or FLAC of single voices, in a folder for each speaker")
    speaker_level: int = option(1, "the speaker's folder is so many levels below speech_dir", low=1)
    min_seconds: float = option(0.0, "shorter recordings are left out, seconds", low=0.0)
    noise_dir: str = option("", "wav or FLAC of noises; empty: none")
    valid: str = option("", "wav tree for validation, with mix_clean (or mix_both, mix_single), s1, s2; empty: none")
    device: str = option("auto", "cuda, mps, cpu, or one of several as cuda:1; auto takes what there is")
    precision: str = option("auto", "of the matrix products in training: fp32, tf32, or bf16 (tf32 in the RNNs); auto: "
                            "tf32, or bf16 where the recipe's amp says so", choices=("auto", "fp32", "tf32", "bf16"))
    dynamic_mixing: bool = option(True, "always on here")
    max_minutes: float = option(40.0, "stop after so many minutes of this call, with a last validation; 0: no limit",
                                low=0.0)
    save_minutes: float = option(3.0, "last.pt is at most this old", low=0.0)
    init_from: str = option("", "start from these weights (.npz or .pth of convert.py --to_asteroid; fresh optimizer)")


def check(config):
    """Raise :class:`UserError` for what is missing, or what the recipe asks for and this script cannot do."""
    require(config, "speech_dir", "save_folder")
    for name, allowed in SUPPORTED.items():
        if getattr(config, name) not in allowed:
            raise UserError(f"--{name} {getattr(config, name)}: train.py has it, train_torch.py has only "
                            f"{' or '.join(map(repr, allowed))}")
    if config.out_channels != config.in_channels:
        raise UserError(f"--out_channels {config.out_channels}: must be --in_channels {config.in_channels}, as in "
                        "Asteroid's DPRNNTasNet")

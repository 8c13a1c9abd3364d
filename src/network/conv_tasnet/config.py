"""What a Conv-TasNet is."""

from dataclasses import dataclass
from typing import ClassVar

from src.core.options import option


@dataclass
class ModelConfig:
    """What the network is. Travels inside every checkpoint and export; nothing downstream asks for it again.

    Defaults are the paper's best network (Luo & Mesgarani 2019, arXiv 1809.07454, table 2).
    """

    family: ClassVar[str] = "conv_tasnet"

    sample_rate: int = option(8000, "sample rate the model works at, Hz", low=1)
    in_channels: int = option(512, "encoder filters N", low=1)
    out_channels: int = option(512, "channels of each mask = decoder filters", low=1)
    kernel_size: int = option(16, "encoder and decoder filter length L, samples (stride is half)", low=2)
    bn_channels: int = option(128, "bottleneck channels B, the width between blocks", low=1)
    hidden_channels: int = option(512, "channels H inside a block", low=1)
    skip_channels: int = option(128, "channels Sc of the skip paths; 0: none, masks come of the last block", low=0)
    conv_kernel_size: int = option(3, "taps P of the depthwise convolutions", low=1)
    num_blocks: int = option(8, "blocks X of one repeat; block x has dilation 2**x", low=1, high=24)
    num_repeats: int = option(3, "repeats R", low=1)
    norm: str = option("gln", "gln global, cln cumulative, ln per-frame layer norm", choices=("gln", "cln", "ln"))
    causal: bool = option(False, "convolutions see no later frame; with norm cln or ln nothing does")
    num_spks: int = option(2, "speakers to separate C", low=1, high=8)
    mask_act: str = option("sigmoid", "mask activation; softmax is over speakers",
                           choices=("relu", "sigmoid", "softmax"))

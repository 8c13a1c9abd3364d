"""What a DPRNN-TasNet is."""

from dataclasses import dataclass
from typing import ClassVar

from src.core.options import option


@dataclass
class ModelConfig:
    """What the network is. Travels inside every checkpoint and export; nothing downstream asks for it again."""

    family: ClassVar[str] = "dprnn"

    sample_rate: int = option(8000, "sample rate the model works at, Hz", low=1)
    in_channels: int = option(64, "encoder filters N", low=1)
    out_channels: int = option(64, "channels of each mask = decoder filters", low=1)
    hidden_channels: int = option(128, "RNN units per direction H", low=1)
    bn_channels: int = option(128, "bottleneck channels, the width of the dual-path blocks", low=1)
    kernel_size: int = option(2, "encoder and decoder filter length, samples (stride is half)", low=2)
    rnn_type: str = option("LSTM", "recurrent cell", choices=("LSTM", "GRU", "RNN"))
    norm: str = option("gln", "gln global, cln cumulative, ln per-frame layer norm", choices=("gln", "cln", "ln"))
    dropout: float = option(0.0, "dropout on the RNN outputs, training only", low=0.0, high=0.99)
    bidirectional: bool = option(True, "inter-chunk RNN in both directions (the intra-chunk RNN always is)")
    num_layers: int = option(6, "dual-path blocks R", low=1)
    K: int = option(250, "chunk length, frames (hop is half)", low=2)
    num_spks: int = option(2, "speakers to separate C", low=1, high=8)
    mask_act: str = option("relu", "mask activation; softmax is over speakers", choices=("relu", "sigmoid", "softmax"))

"""DPRNN-TasNet: encoder, separator, decoder. The one place that builds the network."""

from mindspore import nn

from src.core.device import rnn_kernel
from src.network.dprnn.dual_path import Separator
from src.network.layers.filterbank import Decoder, Encoder
from src.network.layers.linear import Linear


class DPRNNTasNet(nn.Cell):
    """Mixture [B, T] -> estimates [B, C, T], float32 in [-1, 1] at the model's sample rate, any B and T >= 1.

    Args:
        config (ModelConfig): see src/network/dprnn/config.py.
        kernel (str): RNN kernel, see src/network/layers/rnn.py; None takes the device's.
    """

    def __init__(self, config, kernel=None):
        super().__init__()
        self.config = config
        self.next_draw = None  # with dropout: see src/network/layers/dropout.py
        self.encoder = Encoder(config.in_channels, config.kernel_size)
        self.separator = Separator(config, kernel or rnn_kernel(config.rnn_type))
        # Masks multiply the encoded mixture; with another number of mask channels it is projected to fit.
        self.project = None
        if config.out_channels != config.in_channels:
            self.project = Linear(config.in_channels, config.out_channels, has_bias=False)
        self.decoder = Decoder(config.out_channels, config.kernel_size)

    def construct(self, mixture):
        encoded = self.encoder(mixture)
        masks = self.separator(encoded)
        if self.project is not None:
            encoded = self.project(encoded)
        return self.decoder(masks * encoded[:, None], mixture.shape[1])

"""Conv-TasNet (Luo & Mesgarani 2019, arXiv 1809.07454, section II): encoder, separator, decoder. Channel-last."""

from mindspore import nn, ops

from src.network.layers.depthwise import Depthwise
from src.network.layers.filterbank import Decoder, Encoder
from src.network.layers.linear import Linear
from src.network.layers.norms import build_norm
from src.network.layers.prelu import PReLU


class ConvBlock(nn.Cell):
    """1x1, PReLU, norm, depthwise convolution, PReLU, norm; from there the residual and the skip path.

    [B, L, B'] -> (x plus the residual, skip [B, L, Sc]); without skip paths the skip is the residual sum too. ``last``
    says that nothing reads the residual: there is none then.
    """

    def __init__(self, config, dilation, last):
        super().__init__()
        hidden, skip = config.hidden_channels, config.skip_channels
        self.expand = Linear(config.bn_channels, hidden)
        self.expand_prelu = PReLU()
        self.expand_norm = build_norm(config.norm, hidden)
        self.depthwise = Depthwise(hidden, config.conv_kernel_size, dilation, config.causal)
        self.depthwise_prelu = PReLU()
        self.depthwise_norm = build_norm(config.norm, hidden)
        self.residual = None if last and skip else Linear(hidden, config.bn_channels)
        self.skip = Linear(hidden, skip) if skip else None

    def construct(self, x):
        y = self.expand_norm(self.expand_prelu(self.expand(x)))
        y = self.depthwise_norm(self.depthwise_prelu(self.depthwise(y)))
        if self.residual is not None:
            x = x + self.residual(y)
        return x, (x if self.skip is None else self.skip(y))


class Separator(nn.Cell):
    """Masks for C speakers from the encoded mixture: [B, L, N] -> [B, C, L, out_channels].

    Norm and bottleneck, R repeats of X blocks whose dilations double, sum of the skip paths (or the last block's
    output), PReLU, mask.
    """

    def __init__(self, config):
        super().__init__()
        self.speakers, self.width, self.mask_act = config.num_spks, config.out_channels, config.mask_act
        self.with_skips = config.skip_channels > 0
        self.norm = build_norm(config.norm, config.in_channels)
        self.bottleneck = Linear(config.in_channels, config.bn_channels)
        count = config.num_repeats * config.num_blocks
        self.blocks = nn.CellList([ConvBlock(config, 2 ** (i % config.num_blocks), i == count - 1)
                                   for i in range(count)])
        self.prelu = PReLU()
        self.mask = Linear(config.skip_channels or config.bn_channels, config.num_spks * config.out_channels)

    def construct(self, encoded):
        x = self.bottleneck(self.norm(encoded))
        total = None
        for block in self.blocks:
            x, skip = block(x)
            total = skip if total is None or not self.with_skips else total + skip
        x = self.mask(self.prelu(total))
        x = ops.transpose(ops.reshape(x, (x.shape[0], x.shape[1], self.speakers, self.width)), (0, 2, 1, 3))
        if self.mask_act == "relu":
            x = ops.relu(x)
        elif self.mask_act == "sigmoid":
            x = ops.sigmoid(x)
        else:
            x = ops.softmax(x, 1)
        return x


class ConvTasNet(nn.Cell):
    """Mixture [B, T] -> estimates [B, C, T], float32 at the model's sample rate, any B and T >= 1.

    Args:
        config (ModelConfig): see src/network/conv_tasnet/config.py.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.next_draw = None
        self.encoder = Encoder(config.in_channels, config.kernel_size)
        self.separator = Separator(config)
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

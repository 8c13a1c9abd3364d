"""DPRNN-TasNet in PyTorch: parameters named and shaped as in Asteroid's DPRNNTasNet, computed as in model.py.

Inside, everything is channel-last: encoded [B, L, N], chunked [B, S, K, N].
"""

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-8
CELLS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


class Filters(nn.Module):
    """Weights [filters, 1, kernel_size] as ``filterbank._filters``."""

    def __init__(self, filters, kernel_size):
        super().__init__()
        self.filterbank = nn.Module()
        self.filterbank._filters = nn.Parameter(nn.init.xavier_normal_(torch.empty(filters, 1, kernel_size)))

    @property
    def weight(self):
        return self.filterbank._filters


class Pointwise(nn.Conv1d):
    """A convolution of kernel size 1 over channel-last input: [..., inputs] -> [..., outputs]."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x):
        return F.linear(x, self.weight.flatten(1), self.bias)


class Pointwise2d(nn.Conv2d):
    """:class:`Pointwise` with one more kernel axis in its weight."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 1)

    def forward(self, x):
        return F.linear(x, self.weight.flatten(1), self.bias)


class LayerNorm(nn.Module):
    """gln: over time and channels; ln: over the channels of each frame. Input [B, ..., C]; always in fp32."""

    def __init__(self, channels, kind):
        super().__init__()
        self.kind = kind
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = x.float()
        axes = tuple(range(1, x.ndim)) if self.kind == "gln" else -1
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + EPS) * self.gamma + self.beta


class Recurrent(nn.Module):
    """A recurrent layer over the first axis: [T, B, inputs] -> [T, B, directions * hidden]. Never in autocast, which
    on CUDA would take fp16 for it, whatever it was asked for."""

    def __init__(self, rnn_type, inputs, hidden, bidirectional):
        super().__init__()
        self.rnn = CELLS[rnn_type](inputs, hidden, bidirectional=bidirectional)

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            return self.rnn(x.float())[0]


class DualPathBlock(nn.Module):
    """RNN along each chunk, then across chunks, each with projection, norm and residual: [B, S, K, C] to the same."""

    def __init__(self, config):
        super().__init__()
        channels, hidden = config.bn_channels, config.hidden_channels
        self.intra_RNN = Recurrent(config.rnn_type, channels, hidden, True)
        self.inter_RNN = Recurrent(config.rnn_type, channels, hidden, config.bidirectional)
        self.intra_linear = nn.Linear(2 * hidden, channels)
        self.intra_norm = LayerNorm(channels, config.norm)
        self.inter_linear = nn.Linear((2 if config.bidirectional else 1) * hidden, channels)
        self.inter_norm = LayerNorm(channels, config.norm)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        batch, chunks, size, channels = x.shape
        y = x.permute(2, 0, 1, 3).reshape(size, batch * chunks, channels)
        y = self.intra_linear(self.dropout(self.intra_RNN(y)))
        x = x + self.intra_norm(y.reshape(size, batch, chunks, channels).permute(1, 2, 0, 3))
        y = x.permute(1, 0, 2, 3).reshape(chunks, batch * size, channels)
        y = self.inter_linear(self.dropout(self.inter_RNN(y)))
        return x + self.inter_norm(y.reshape(chunks, batch, size, channels).permute(1, 0, 2, 3))


class Masker(nn.Module):
    """Masks for C speakers from the encoded mixture: [B, L, N] -> [B, C, L, N]."""

    def __init__(self, config):
        super().__init__()
        filters, width = config.in_channels, config.bn_channels
        self.chunk, self.speakers, self.mask_act = config.K, config.num_spks, config.mask_act
        self.bottleneck = nn.Sequential(LayerNorm(filters, config.norm), Pointwise(filters, width))
        self.net = nn.Sequential(*[DualPathBlock(config) for _ in range(config.num_layers)])
        self.first_out = nn.Sequential(nn.PReLU(), Pointwise2d(width, config.num_spks * width))
        self.net_out = nn.Sequential(Pointwise(width, width), nn.Tanh())
        self.net_gate = nn.Sequential(Pointwise(width, width), nn.Sigmoid())
        self.mask_net = Pointwise(width, filters, bias=False)

    def forward(self, encoded):
        x = self.bottleneck(encoded)
        batch, frames, width = x.shape
        x = overlap_add(self.first_out(self.net(split(x, self.chunk))), self.chunk, frames)
        x = x.reshape(batch, frames, self.speakers, width).transpose(1, 2)
        x = self.mask_net(self.net_out(x) * self.net_gate(x))
        return torch.relu(x) if self.mask_act == "relu" else torch.sigmoid(x)


class DPRNNTasNet(nn.Module):
    """Mixture [B, T] -> estimates [B, C, T], float32, any B and T >= 1.

    Args:
        config (src.network.dprnn.config.ModelConfig): what Asteroid can express, see torch_training/config.py.
    Attributes:
        autocast (torch.dtype): of the masker's projections, None for that of the weights; RNNs and norms stay fp32.
    """

    autocast = None

    def __init__(self, config):
        super().__init__()
        self.encoder = Filters(config.in_channels, config.kernel_size)
        self.masker = Masker(config)
        self.decoder = Filters(config.in_channels, config.kernel_size)
        self.stride = config.kernel_size // 2

    def forward(self, mixture):
        length, kernel = mixture.shape[1], self.encoder.weight.shape[2]
        padded = F.pad(mixture, (0, max(0, kernel - length)))
        encoded = F.conv1d(padded[:, None], self.encoder.weight, stride=self.stride).transpose(1, 2)
        with torch.autocast(mixture.device.type, self.autocast, enabled=self.autocast is not None):
            masks = self.masker(encoded)
        masked = (masks.float() * encoded[:, None]).flatten(0, 1).transpose(1, 2)
        wave = F.conv_transpose1d(masked, self.decoder.weight, stride=self.stride)[:, 0]
        wave = F.pad(wave, (0, max(0, length - wave.shape[1])))[:, :length]
        return wave.reshape(mixture.shape[0], -1, length)


def split(x, size):
    """[B, T, C] -> half-overlapped chunks [B, S, size, C], a whole chunk of zeros on either side."""
    frames, hop = x.shape[1], size // 2
    chunks = (frames + size) // hop + 1
    padded = F.pad(x, (0, 0, size, (chunks - 1) * hop - frames))
    return padded.unfold(1, size, hop).transpose(2, 3)


def overlap_add(chunks, size, frames):
    """The adjoint of :func:`split`: [B, S, size, C] -> [B, frames, C]."""
    batch, count, _, channels = chunks.shape
    total = (count - 1) * (size // 2) + size
    columns = chunks.permute(0, 3, 2, 1).reshape(batch, channels * size, count)
    whole = F.fold(columns.float(), (1, total), (1, size), stride=(1, size // 2))[:, :, 0]
    return whole[:, :, size : size + frames].transpose(1, 2)

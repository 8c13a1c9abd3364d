"""The dual-path RNN separator (Luo, Chen & Yoshioka 2020, arXiv 1910.06379, sections 2.1-2.3)."""

from mindspore import nn, ops

from src.network.layers.chunking import overlap_add, pad_time, span, split
from src.network.layers.dropout import build_dropout
from src.network.layers.linear import Linear
from src.network.layers.norms import build_norm
from src.network.layers.prelu import PReLU
from src.network.layers.rnn import Recurrent


class DualPathBlock(nn.Cell):
    """Intra-chunk RNN, linear, norm, residual; then the same across chunks. [B, S, K, N] -> [B, S, K, N]."""

    def __init__(self, channels, hidden, rnn_type, norm, bidirectional, dropout, rnn_kernel):
        super().__init__()
        self.intra_rnn = Recurrent(rnn_type, channels, hidden, True, rnn_kernel)
        self.intra_linear = Linear(2 * hidden, channels)
        self.intra_norm = build_norm(norm, channels)
        self.inter_rnn = Recurrent(rnn_type, channels, hidden, bidirectional, rnn_kernel)
        self.inter_linear = Linear((2 if bidirectional else 1) * hidden, channels)
        self.inter_norm = build_norm(norm, channels)
        self.intra_dropout = build_dropout(dropout)
        self.inter_dropout = build_dropout(dropout)

    def construct(self, x):
        batch, chunks, size, channels = x.shape
        y = ops.reshape(ops.transpose(x, (2, 0, 1, 3)), (size, batch * chunks, channels))
        y = self.intra_linear(self.intra_dropout(self.intra_rnn(y)))  # along K
        y = ops.transpose(ops.reshape(y, (size, batch, chunks, channels)), (1, 2, 0, 3))
        x = x + self.intra_norm(y)
        y = ops.reshape(ops.transpose(x, (1, 0, 2, 3)), (chunks, batch * size, channels))
        y = self.inter_linear(self.inter_dropout(self.inter_rnn(y)))  # along S
        y = ops.transpose(ops.reshape(y, (chunks, batch, size, channels)), (1, 0, 2, 3))
        return x + self.inter_norm(y)


class Separator(nn.Cell):
    """Masks for C speakers from the encoded mixture: [B, L, N] -> [B, C, L, out_channels].

    Norm and bottleneck, half-overlapped chunks of K frames, R dual-path blocks, PReLU and expansion to C speakers,
    overlap-add, gated tanh * sigmoid, mask. All weights are shared between speakers after the expansion.
    """

    def __init__(self, config, rnn_kernel):
        super().__init__()
        width = config.bn_channels
        self.chunk, self.speakers, self.width = config.K, config.num_spks, width
        self.mask_act = config.mask_act
        self.norm = build_norm(config.norm, config.in_channels)
        self.bottleneck = Linear(config.in_channels, width)
        self.blocks = nn.CellList([
            DualPathBlock(width, config.hidden_channels, config.rnn_type, config.norm, config.bidirectional,
                          config.dropout, rnn_kernel)
            for _ in range(config.num_layers)
        ])
        self.prelu = PReLU()
        self.expand = Linear(width, config.num_spks * width)
        self.gate_tanh = Linear(width, width)
        self.gate_sigmoid = Linear(width, width)
        self.mask = Linear(width, config.out_channels, has_bias=False)

    def construct(self, encoded):
        x = self.bottleneck(self.norm(encoded))
        batch, frames, _ = x.shape
        # A whole chunk of zeros on either side, so that every frame lies in exactly two chunks.
        chunks = (frames + self.chunk) // (self.chunk // 2) + 1
        padded = span(self.chunk, chunks)
        x = split(pad_time(x, self.chunk, padded - self.chunk - frames), self.chunk, chunks)
        for block in self.blocks:
            x = block(x)
        x = overlap_add(self.expand(self.prelu(x)), self.chunk)[:, self.chunk : self.chunk + frames]
        x = ops.reshape(x, (batch, frames, self.speakers, self.width))
        x = ops.tanh(self.gate_tanh(x)) * ops.sigmoid(self.gate_sigmoid(x))
        x = ops.transpose(self.mask(x), (0, 2, 1, 3))
        if self.mask_act == "relu":
            x = ops.relu(x)
        elif self.mask_act == "sigmoid":
            x = ops.sigmoid(x)
        else:
            x = ops.softmax(x, 1)
        return x

"""What the rest of the house asks of Conv-TasNet; see src/network/registry.py."""

from src.network.conv_tasnet import asteroid
from src.network.conv_tasnet.config import ModelConfig as Config
from src.network.conv_tasnet.numpy_forward import check_weights
from src.network.conv_tasnet.numpy_forward import forward as numpy_forward

__all__ = ["FREE", "Config", "asteroid", "build", "check_samples", "check_weights", "hop", "numpy_forward",
           "onnx_graph", "recompute", "rnn_type"]

FREE = ("sample_rate", "num_spks")
MOST_CHECKED = 2000  # frames
recompute = None


def hop(config):
    """Samples from one frame of the encoder to the next."""
    return config.kernel_size // 2


def check_samples(config):
    """Two lengths, samples: frames that the widest convolution reaches over, and one frame."""
    reach = (config.conv_kernel_size - 1) * 2 ** (config.num_blocks - 1)
    return tuple(frames * hop(config) + 1 for frames in (min(reach + 7, MOST_CHECKED), 1))


def build(config, kernel=None):
    """The network, see :class:`src.network.conv_tasnet.model.ConvTasNet`. It has no RNN: ``kernel`` says nothing."""
    from src.network.conv_tasnet.model import ConvTasNet

    return ConvTasNet(config)


def rnn_type(config):
    """It has none."""
    return None


def onnx_graph(config, weights, metadata, batch=None, length=None):
    """The ONNX model, see :func:`src.network.conv_tasnet.onnx_graph.build`."""
    from src.network.conv_tasnet.onnx_graph import build as build_graph

    return build_graph(config, weights, metadata, batch, length)

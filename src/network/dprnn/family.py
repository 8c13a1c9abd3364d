"""What the rest of the house asks of DPRNN-TasNet; see src/network/registry.py."""

from src.network.dprnn import asteroid
from src.network.dprnn.config import ModelConfig as Config
from src.network.dprnn.numpy_forward import check_weights
from src.network.dprnn.numpy_forward import forward as numpy_forward

__all__ = ["FREE", "Config", "asteroid", "build", "check_samples", "check_weights", "hop", "numpy_forward",
           "onnx_graph", "recompute", "rnn_type"]

FREE = ("dropout", "sample_rate", "K", "num_spks")
CHECK_CHUNKS = 3  # as many chunks and a bit, so that all of a graph runs


def hop(config):
    """Samples from one frame of the encoder to the next."""
    return config.kernel_size // 2


def check_samples(config):
    """Two lengths, samples: several chunks, and one frame."""
    return tuple(frames * hop(config) + 1 for frames in (CHECK_CHUNKS * config.K + 7, 1))


def build(config, kernel=None):
    """The network, see :class:`src.network.dprnn.model.DPRNNTasNet`."""
    from src.network.dprnn.model import DPRNNTasNet

    return DPRNNTasNet(config, kernel)


def rnn_type(config):
    """The cell of its RNNs."""
    return config.rnn_type


def onnx_graph(config, weights, metadata, batch=None, length=None):
    """The ONNX model, see :func:`src.network.dprnn.onnx_graph.build`."""
    from src.network.dprnn.onnx_graph import build as build_graph

    return build_graph(config, weights, metadata, batch, length)


def recompute(network, count):
    """Run the RNNs of ``count`` blocks again for the gradient, see :func:`src.network.dprnn.recompute.recompute`."""
    from src.network.dprnn.recompute import recompute as run_again

    run_again(network, count)

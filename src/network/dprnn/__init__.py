"""Family DPRNN-TasNet (Luo, Chen, Yoshioka 2020, arXiv 1910.06379): configuration, network, ONNX graph."""

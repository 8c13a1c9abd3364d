"""Conv-TasNet: its options, network, ONNX graph and names of Asteroid. Nothing here knows of training or files."""

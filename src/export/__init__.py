"""A checkpoint in other forms: MINDIR, ONNX, MindSpore Lite, Asteroid."""

"""Training with PyTorch on any accelerator, from the same recipes. Needs neither MindSpore nor Asteroid."""

"""mix.py: single voices and noises to a tree of mixtures with metadata."""

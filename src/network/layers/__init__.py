"""Layers that several families use. Arrays are channel-last."""

"""Trained weights on the disk: checkpoints, exported models, the list of ready models, and the runtimes for them.

It opens a model for whoever runs it. How a recording is cut and joined is not its business.
"""

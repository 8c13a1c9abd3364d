"""Trained weights on the disk: checkpoints, exported models, the list of ready models.

It opens a model for whoever runs it. How a recording is cut and joined is not its business.
"""

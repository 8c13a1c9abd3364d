"""Batches for training: crops of stored mixtures, or mixtures made anew in each step."""

"""From corpora on the disk to batches: corpora, records, mixing, loading.

Batches are numpy arrays. Nothing here knows the network or the loss.
"""

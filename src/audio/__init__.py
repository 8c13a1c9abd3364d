"""Sound files and samples: formats, reading and writing, resampling, levels, rooms.

Only numpy arrays come out. No MindSpore, no network, no corpus.
"""

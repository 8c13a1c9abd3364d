"""What every other package builds on: errors, options, files, signals, progress, worker processes, the device.

Nothing here knows audio, networks or tasks, and nothing here imports another package of src.
"""

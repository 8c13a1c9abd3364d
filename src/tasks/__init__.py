"""What a network is trained for: a package for each task, with its loss, its score and its loader.

A task may use data and network. It knows neither the trainer nor the scripts.
"""

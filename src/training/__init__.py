"""The training loop and its state: steps, optimizer, schedule, log, resumption.

It knows no task and no family: it asks their registries.
"""

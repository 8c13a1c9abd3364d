"""Several processes that train together: rank tables, starting them, exchange between them.

It knows nothing of what is trained.
"""

"""Networks: a package for each family, and the layers that they share.

Only shapes and arithmetic. No files, no data, no loss; device differences are in the choice of kernels alone.
"""

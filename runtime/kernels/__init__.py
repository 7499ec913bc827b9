"""Compiled integer kernels. Each file stands alone: numba, numpy, and its own helpers."""

"""Kernels that run all steps of a layer at once: a lane is one place at one step."""

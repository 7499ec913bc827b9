"""Neuron parameters as arrays: as stored (narrow, as few as given) and as run (one per neuron)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.spec import IntegerNeuron

PARAMETERS = ("threshold_q", "reset_q", "bias_q", "start_q", "payload_shift")
"""Fields of ``IntegerNeuron`` with one value for the population, per channel or per neuron."""

WIDTHS = (np.dtype("i1"), np.dtype("<i2"), np.dtype("<i4"))


def parameter_dtype(values: tuple[int, ...]) -> np.dtype[np.generic]:
    """The narrowest signed type that holds every value; values beyond 32 bits are a caller's defect."""
    for dtype in WIDTHS:
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return dtype
    raise AssertionError("a checked parameter fits 32 bits")


def parameter_arrays(neuron: IntegerNeuron) -> dict[str, NDArray[np.generic]]:
    """The parameters as a file stores them, by field name."""
    stored: dict[str, NDArray[np.generic]] = {}
    for name in PARAMETERS:
        values = getattr(neuron, name)
        stored[name] = np.array(values, parameter_dtype(values))
    return stored


def per_neuron(values: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """One value per neuron from one for all, one per channel or one per neuron: (neurons,)."""
    neurons = int(np.prod(shape))
    return np.repeat(np.array(values, np.int32), neurons // len(values))

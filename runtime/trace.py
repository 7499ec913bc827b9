"""``Trace``: what a network did, in canonical order, the same for every leg that ran it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trace:
    """Spikes (payloads) and stored membranes of each neuron population by name.

    Both map a population's name to an array of shape (steps, samples, neurons); membranes are taken
    after reset and clamp, at the end of each step. ``scores`` is (samples, classes) by the readout
    rule, ``predictions`` (samples,) the lowest index among the maxima.
    """

    spikes: Mapping[str, NDArray[np.int32]]
    membranes: Mapping[str, NDArray[np.int32]]
    scores: NDArray[np.int64]
    predictions: NDArray[np.int64]

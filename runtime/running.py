"""The engine in one plain function: a program and one sample in, spikes and counts out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.cost import Counts
from runtime.engine import Engine
from runtime.errors import DataError
from runtime.program import Program


@dataclass(frozen=True)
class Ran:
    """``spikes`` of the output, (T, neurons) or (T, samples, neurons); ``counts`` over all samples."""

    spikes: NDArray[np.int32]
    counts: Counts


def run(program: Program, spikes: NDArray[np.integer]) -> Ran:
    """Runs one sample of coded integers, ``spikes`` (T, *input shape), or several (T, samples, *shape).

    DataError for another shape or values that the input does not take, ModelError for a program that no
    kernel could run safely.
    """
    shape, given = program.input.shape, np.asarray(spikes)
    if given.ndim not in (len(shape) + 1, len(shape) + 2) or given.shape[given.ndim - len(shape) :] != shape:
        raise DataError(f"run: found spikes of {given.shape}, expected (T, *{shape}) or (T, n, *{shape})")
    one = given.ndim == len(shape) + 1
    result = Engine(program).run(given[:, None] if one else given, trace=True)
    assert result.trace is not None
    found = result.trace.spikes[program.populations[program.output].name]
    return Ran(found[:, 0] if one else found, result.counts)

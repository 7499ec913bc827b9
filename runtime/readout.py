"""Scores of the output population as a run goes on, block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.spec import Readout

Scores = NDArray[np.int64]
Block = NDArray[np.int32]


def before_first_step(readout: Readout, samples: int, outputs: int) -> Scores:
    """Scores (samples, outputs) before anything happened."""
    lowest = np.iinfo(np.int64).min if readout is Readout.MEMBRANE_MAX else 0
    return np.full((samples, outputs), lowest, np.int64)


def after_block(readout: Readout, scores: Scores, payloads: Block, membranes: Block) -> Scores:
    """Scores after one more block of (steps, samples, outputs); a count does not look at ``membranes``."""
    match readout:
        case Readout.COUNT:
            counted: Scores = scores + payloads.sum(axis=0, dtype=np.int64)
            return counted
        case Readout.MEMBRANE_LAST:
            last: Scores = membranes[-1].astype(np.int64)
            return last
        case Readout.MEMBRANE_MAX:
            largest: Scores = np.maximum(scores, membranes.max(axis=0))
            return largest
        case Readout.MEMBRANE_SUM:
            summed: Scores = scores + membranes.sum(axis=0, dtype=np.int64)
            return summed

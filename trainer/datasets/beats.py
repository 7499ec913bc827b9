"""Integers from heart beats: how far a beat's form is from the recent usual one, and how early it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEFORE, AFTER = 90, 166
"""Samples of a beat before its R peak and from the peak on, at 360 Hz."""
BLOCK = 4
"""Samples averaged into one: 90 Hz."""
RECENT = 21
"""Beats that the usual form, height and interval are the medians of, the beat itself included."""
FORM_UNITS = 100.0
"""Integers per usual height of a beat."""
INTERVAL_UNITS = 127.0
"""Integers per usual interval."""
COPIES = 4
"""Times each interval stands in the sample: its weight against 64 values of form."""
HIGH = 127


@dataclass(frozen=True)
class Beats:
    """Beats (n, 256) in converter units, label, record, intervals to the beat before and after in samples.

    Rows of one record stand in the order of time.
    """

    x: NDArray[np.int16]
    y: NDArray[np.int64]
    record: NDArray[np.int64]
    rr_prev: NDArray[np.int64]
    rr_next: NDArray[np.int64]


def features(beats: Beats) -> NDArray[np.int8]:
    """Integers (n, 72) in -127..127: 64 distances of form, then two relative intervals four times each.

    Everything is relative to the medians of the last 21 beats of the same record, all known when the
    next beat comes. So gain, lead and heart rate of the patient drop out: absolute forms learned from
    some patients do not carry over to others.
    """
    blocks = beats.x.reshape(len(beats.x), -1, BLOCK).mean(axis=2)
    form = blocks - np.median(blocks, axis=1, keepdims=True)
    height = recent_median(np.ptp(form, axis=1)[:, None], beats.record)
    form = form * (FORM_UNITS / np.maximum(height, 1.0))
    distance = np.abs(form - recent_median(form, beats.record))
    usual = np.maximum(recent_median(beats.rr_prev[:, None].astype(np.float64), beats.record), 1.0)
    intervals = np.stack([beats.rr_prev, beats.rr_next], axis=1) / usual - 1.0
    every = np.concatenate([distance, *[intervals * INTERVAL_UNITS] * COPIES], axis=1)
    integers: NDArray[np.int8] = np.clip(np.round(every), -HIGH, HIGH).astype(np.int8)
    return integers


def recent_median(values: NDArray[Any], record: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median (n, k) of each beat's own and the 20 values before it in its record, fewer at the start."""
    out = np.empty(values.shape, dtype=np.float64)
    for name in np.unique(record):
        place = np.flatnonzero(record == name)
        before = np.full((RECENT - 1, values.shape[1]), np.nan)
        padded = np.concatenate([before, values[place]])
        spans = np.lib.stride_tricks.sliding_window_view(padded, RECENT, axis=0)
        whole = min(RECENT - 1, len(place))
        # the middle of an odd count: half the time of np.median
        out[place[whole:]] = np.partition(spans[whole:], RECENT // 2, axis=-1)[..., RECENT // 2]
        out[place[:whole]] = np.nanmedian(spans[:whole], axis=-1)
    return out

"""Watch IMU, shoulder exercises: windows of four seconds, split between persons (packed npz file)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from trainer.datasets.location import data_root, find, read_npz, slices
from trainer.datasets.options import GroupOptions, positive
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off, split_off_groups

ORIGIN = "the shoulder exercise recordings by D. M. Burns et al. (2018), as shipped with seglearn"
WINDOW = 200
"""Four seconds at 50 Hz."""
CHANNEL_SCALE = (32.0, 32.0, 32.0, 16.0, 16.0, 16.0)
"""Integers per unit of each channel: 1/32 of acceleration, 1/16 rad/s; clipped to -127..127."""
N_CHANNELS = len(CHANNEL_SCALE)
MIRROR = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0)
"""Makes a right arm of a left one: the x axis points the other way, and turns about y and z with it."""
SPREAD_GAIN = 2.0


@dataclass(frozen=True)
class MotionOptions(GroupOptions):
    """Windows and how a window becomes steps. Groups are persons."""

    n_steps: int = 25
    hop: int = 50
    """Samples between the starts of training windows; validation and test windows never overlap."""


def load_watch(data_dir: Path | None, options: MotionOptions) -> Splits:
    """Samples (n, n_steps, 12): of each 200 / n_steps samples the mean and spread of every channel.

    Recordings of left arms are mirrored to right ones.
    """
    root = data_root(data_dir, "watch", ORIGIN)
    path = find(root, ("watch_imu.npz",), "watch", ORIGIN)
    if WINDOW % positive(options.n_steps, "n_steps"):
        raise ConfigError(f"data.n_steps: found {options.n_steps}, expected a divisor of {WINDOW}")
    keys = [f"{k}_{split}" for split in ("train", "test") for k in ("x", "offset", "y", "subject", "side")]
    arrays = read_npz(path, [*keys, "classes"])
    hop = positive(options.hop, "hop")
    train = windows(arrays, "train", path, hop)
    if options.validation_groups:
        train, validation = split_off_groups(train, options.validation_groups)
    else:
        train, validation = split_off(train, options.validation, options.seed)
    assert validation.groups is not None
    persons = set(validation.groups.tolist())
    _, validation = split_off_groups(windows(arrays, "train", path, WINDOW), sorted(persons))
    test = windows(arrays, "test", path, WINDOW)
    info = DatasetInfo(
        name="watch",
        classes=tuple(str(name) for name in arrays["classes"]),
        sample_shape=(options.n_steps, 2 * N_CHANNELS),
        low=-127,
        high=127,
        has_time=True,
        meaning="acceleration in 1/32 of its unit, angular velocity in 1/16 rad/s, then twice their spread",
        origin=ORIGIN,
        group_kind="person",
    )
    train, validation, test = (to_steps(part, options.n_steps) for part in (train, validation, test))
    return Splits(train, validation, test, info)


def windows(arrays: dict[str, NDArray[Any]], split: str, path: Path, hop: int) -> Samples:
    """Windows (n, 200, 6) of the split's recordings, in real units, ``hop`` samples apart."""
    x = arrays[f"x_{split}"]
    if x.ndim != 2 or x.shape[1] != N_CHANNELS or not np.isfinite(x).all():
        raise DataError(f"{path}: found x_{split} of {x.shape}, expected finite values (n, {N_CHANNELS})")
    cut, label, person = [], [], []
    for number, span in enumerate(slices(arrays[f"offset_{split}"], len(x), path)):
        for start in range(span.start, span.stop - WINDOW + 1, hop):
            cut.append(x[start : start + WINDOW] * (MIRROR if arrays[f"side_{split}"][number] else 1.0))
            label.append(int(arrays[f"y_{split}"][number]))
            person.append(int(arrays[f"subject_{split}"][number]))
    if not cut:
        raise DataError(f"{path}: found no {split} recording of {WINDOW} samples, expected at least one")
    return Samples(np.stack(cut), np.array(label, dtype=np.int64), np.array(person, dtype=np.int64))


def to_steps(samples: Samples, n_steps: int) -> Samples:
    """The same windows as integers (n, n_steps, 12): mean of each channel in a step, then its spread."""
    parts = samples.x.reshape(len(samples), n_steps, WINDOW // n_steps, N_CHANNELS)
    real = np.concatenate([parts.mean(axis=2), SPREAD_GAIN * parts.std(axis=2)], axis=2)
    integers = np.clip(np.round(real * np.tile(CHANNEL_SCALE, 2)), -127, 127).astype(np.int8)
    return Samples(integers, samples.y, samples.groups)

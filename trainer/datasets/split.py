"""Splits a validation part off the training samples: by group where groups exist, else by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from trainer.datasets.samples import Samples

Index = NDArray[np.int64]


def split_off(samples: Samples, fraction: float, seed: int) -> tuple[Samples, Samples]:
    """``(rest, held out)``: about ``fraction`` of the samples held out, order kept, seeded.

    Whole groups where the samples have groups; otherwise the same share of every class.
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"validation fraction: found {fraction}, expected a number between 0 and 1")
    if seed < 0:
        raise ConfigError(f"split seed: found {seed}, expected 0 or more")
    if samples.groups is None:
        held = stratified_index(samples.y, fraction, seed)
    else:
        held = group_index(samples.y, samples.groups, fraction, seed)
    return part(samples, held)


def split_off_groups(samples: Samples, groups: Sequence[int]) -> tuple[Samples, Samples]:
    """``(rest, held out)`` with the named groups held out."""
    assert samples.groups is not None
    unknown = sorted(set(groups) - {int(g) for g in np.unique(samples.groups)})
    if unknown:
        raise ConfigError(
            f"validation groups: found {unknown[0]}, expected some of {np.unique(samples.groups).tolist()}"
        )
    return part(samples, np.flatnonzero(np.isin(samples.groups, list(groups))).astype(np.int64))


def part(samples: Samples, held: Index) -> tuple[Samples, Samples]:
    """``(all but held, held)``, each in the original order."""
    keep = np.ones(len(samples), dtype=bool)
    keep[held] = False
    return samples.take(np.flatnonzero(keep).astype(np.int64)), samples.take(np.sort(held))


def stratified_index(y: NDArray[np.int64], fraction: float, seed: int) -> Index:
    """Indices of ``fraction`` of every class, at least one, never the whole class."""
    if not np.issubdtype(y.dtype, np.integer) or y.ndim > 1:
        return plain_index(len(y), fraction, seed)
    random = np.random.default_rng(seed)
    chosen: list[Index] = []
    for label in np.unique(y):
        members = random.permutation(np.flatnonzero(y == label))
        if len(members) < 2:
            raise DataError(
                f"class {label}: found {len(members)} training sample, expected at least two to split"
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        chosen.append(members[:count])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def plain_index(count: int, fraction: float, seed: int) -> Index:
    """A seeded ``fraction`` of ``0..count - 1``: for targets that are not one class per sample."""
    if count < 2:
        raise DataError(f"training samples: found {count}, expected at least two to split")
    size = min(max(1, round(fraction * count)), count - 1)
    return np.sort(np.random.default_rng(seed).permutation(count)[:size]).astype(np.int64)


def group_index(y: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, seed: int) -> Index:
    """Indices of whole groups, taken in a seeded order while the share stays nearest to ``fraction``.

    A group that holds the last training samples of a class is passed over.
    """
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise DataError(f"groups: found {len(names)} in the training data, expected at least two to split")
    wanted, taken = fraction * len(groups), 0
    held = np.zeros(len(groups), dtype=bool)
    for place in np.random.default_rng(seed).permutation(len(names)):
        if taken and abs(taken + sizes[place] - wanted) > abs(taken - wanted):
            continue
        trial = held | (groups == names[place])
        if trial.all() or not covers(y[~trial], y):
            continue
        held, taken = trial, taken + int(sizes[place])
    if not held.any():
        raise DataError("groups: found none that can be held out, expected every class in two groups or more")
    return np.flatnonzero(held).astype(np.int64)


def covers(some: NDArray[np.int64], every: NDArray[np.int64]) -> bool:
    """Whether every class among ``every`` is among ``some``."""
    return not np.issubdtype(every.dtype, np.integer) or len(np.unique(some)) == len(np.unique(every))

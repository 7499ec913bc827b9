"""Takes any torch Dataset (or sequence of pairs) as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from trainer.datasets.integers import fit_grid
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off


class Pairs(Protocol):
    """What a map-style torch Dataset offers: a length and (sample, label) pairs."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class TorchOptions(SplitOptions):
    """What the pairs do not say themselves."""

    classes: tuple[str, ...] = ()
    """Names; empty: the numbers 0, 1, … of the labels."""
    bits: int = 8
    """Magnitude bits of a value; integers that fit keep their value, other numbers get one scale."""
    has_time: bool = False
    """The first axis of a sample is time."""


def from_torch(
    train: Pairs,
    test: Pairs,
    options: TorchOptions | None = None,
    *,
    groups: Sequence[int] | None = None,
) -> Splits:
    """Splits of two torch Datasets of (sample, label).

    Validation is split off ``train``, by ``groups`` where given.
    Samples may be tensors or arrays, of integers or reals; all must have one shape.
    """
    chosen = options or TorchOptions()
    x, y = collect(train, "train")
    x_test, y_test = collect(test, "test")
    whole = Samples(x, y, None if groups is None else np.asarray(groups, dtype=np.int64))
    if groups is not None and len(groups) != len(x):
        raise DataError(f"from_torch: found {len(groups)} groups, expected one for each of {len(x)} samples")
    part, validation = split_off(whole, chosen.validation, chosen.seed)
    grid = fit_grid(part.x, chosen.bits, "from_torch")
    info = DatasetInfo(
        name="torch",
        classes=chosen.classes or numbered_classes(y),
        sample_shape=x.shape[1:],
        low=grid.low,
        high=grid.high,
        has_time=chosen.has_time,
        meaning="values of the user's data set",
        origin=type(train).__name__,
        scale=grid.scale,
        group_kind="" if groups is None else "group",
    )
    return Splits(
        Samples(grid.apply(part.x), part.y, part.groups),
        Samples(grid.apply(validation.x), validation.y, validation.groups),
        Samples(grid.apply(x_test), y_test),
        info,
    )


def numbered_classes(y: NDArray[Any]) -> tuple[str, ...]:
    """Names 0…n-1 for integer labels; none for real targets."""
    return tuple(str(n) for n in range(int(y.max()) + 1)) if y.dtype.kind in "iu" else ()


def collect(pairs: Pairs, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """All samples (n, *shape) and labels (n,) of a data set."""
    if len(pairs) == 0:
        raise DataError(f"from_torch, {split}: found no samples, expected at least one")
    items = [pairs[index] for index in range(len(pairs))]
    if any(not isinstance(item, tuple | list) or len(item) != 2 for item in items):
        raise DataError(f"from_torch, {split}: found an item that is not a pair, expected (sample, label)")
    samples = [np.asarray(sample) for sample, _ in items]
    for place, sample in enumerate(samples):
        if sample.shape != samples[0].shape:
            raise DataError(
                f"from_torch, {split}: found sample {place} of {sample.shape}, expected {samples[0].shape}"
            )
    labels = np.stack([np.asarray(label) for _, label in items])
    y = labels.astype(np.int64 if labels.dtype.kind in "iub" else np.float32)
    return np.stack(samples), y

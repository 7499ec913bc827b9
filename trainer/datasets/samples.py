"""The noun of this package: integer samples with labels, in three splits that share no group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError


@dataclass(frozen=True)
class Samples:
    """Samples ``x`` (n, *sample shape) of an integer type, labels ``y`` (n,), group numbers (n,) or None.

    A group is what must not stand in two splits: a speaker, a patient's record, a person.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64] | slice) -> Samples:
        """The samples at ``index``, in that order."""
        return Samples(self.x[index], self.y[index], None if self.groups is None else self.groups[index])


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set's integers mean: ``low..high`` per element, one real unit being ``scale``.

    ``sample_shape`` has time first when ``has_time`` is set. ``group_kind`` names what the group
    numbers are ("" when there are none). ``step_us``: length of a step, where the data say it.
    """

    name: str
    classes: tuple[str, ...]
    sample_shape: tuple[int, ...]
    low: int
    high: int
    has_time: bool
    meaning: str
    origin: str
    scale: float = 1.0
    group_kind: str = ""
    step_us: int | None = None

    @property
    def signed(self) -> bool:
        return self.low < 0

    @property
    def bits(self) -> int:
        """Bits of the magnitude, as the input's payload carries it."""
        return max(abs(self.low), abs(self.high)).bit_length()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one step."""
        return self.sample_shape[1:] if self.has_time else self.sample_shape


@dataclass(frozen=True)
class Splits:
    """Training, validation and test samples of one data set; raises DataError where they cannot be right."""

    train: Samples
    validation: Samples
    test: Samples
    info: DatasetInfo

    def __post_init__(self) -> None:
        for split, samples in self.named():
            check_samples(samples, split, self.info)
        check_groups(self.named(), self.info)

    def named(self) -> tuple[tuple[str, Samples], ...]:
        return (("train", self.train), ("validation", self.validation), ("test", self.test))


def check_samples(samples: Samples, split: str, info: DatasetInfo) -> None:
    """Raise DataError unless the split has samples, and shapes, types and labels agree with ``info``."""
    where = f"{info.name}, {split} split"
    if len(samples) == 0:
        raise DataError(f"{where}: found no samples, expected at least one")
    if len(samples.y) != len(samples):
        raise DataError(f"{where}: found {len(samples.y)} labels, expected one for each of {len(samples)}")
    if samples.x.shape[1:] != info.sample_shape:
        raise DataError(f"{where}: found samples of {samples.x.shape[1:]}, expected {info.sample_shape}")
    if not np.issubdtype(samples.x.dtype, np.integer):
        raise DataError(f"{where}: found samples of type {samples.x.dtype}, expected integers")
    if info.classes and np.issubdtype(samples.y.dtype, np.integer):
        check_labels(samples.y, len(info.classes), where)


def check_labels(y: NDArray[Any], n_classes: int, where: str) -> None:
    """Raise DataError where a label is outside ``0..n_classes - 1``."""
    wrong = np.flatnonzero((y < 0) | (y >= n_classes))
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            f"{where}: found label {y.flat[place]} at sample {place}, expected 0..{n_classes - 1}"
        )


def check_groups(splits: Sequence[tuple[str, Samples]], info: DatasetInfo) -> None:
    """Raise DataError where a group stands in two splits."""
    grouped = [(name, np.unique(s.groups)) for name, s in splits if s.groups is not None]
    for place, (name, groups) in enumerate(grouped):
        for other, others in grouped[place + 1 :]:
            shared = np.intersect1d(groups, others)
            if len(shared):
                kind = info.group_kind or "group"
                raise DataError(
                    f"{info.name}: found {kind} {shared[0]} in both {name} and {other}, "
                    f"expected each {kind} in one split only"
                )

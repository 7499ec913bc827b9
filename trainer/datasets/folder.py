"""A user's own data: class sub-folders or ``labels.csv``, of NPZ, CSV, WAV or event files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from trainer.datasets.audio import MelGrid, log_mel, read_wav
from trainer.datasets.events import EventGrid, bin_events
from trainer.datasets.files import kind_of, read_array, read_event_file
from trainer.datasets.integers import IntegerGrid, fit_grid
from trainer.datasets.listing import Item, list_items
from trainer.datasets.location import data_root
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off

DEFAULT_STEPS = 10


@dataclass(frozen=True)
class FolderOptions(SplitOptions):
    """How a user's files become integer samples."""

    path: str = ""
    """The folder or labels.csv, below --data-dir where that is given; empty: --data-dir itself."""
    test: float = 0.2
    """Share held out to test where no split is given."""
    bits: int = 8
    """Magnitude bits of a value; integers that fit keep their value, other numbers get one scale."""
    n_steps: int = 0
    """Steps: NPZ and CSV are cut or padded with zeros to it (0: the sample is one constant input);
    WAV and events are always in steps, ten unless given."""
    n_mels: int = 24
    height: int = 0
    width: int = 0
    """Sensor size of event files; 0: the smallest that holds every event."""
    step_us: int = 0
    """Length of a step of event files, microseconds; 0: the longest recording fills the steps."""
    event_bits: int = 1


def load_folder(data_dir: Path | None, options: FolderOptions) -> Splits:
    """Samples of the user's files, split as the table says, else seeded by group or by class."""
    place = place_of(data_dir, options.path)
    items = list_items(place)
    classes = class_names([item.label for item in items])
    x, grid, kind, step_us = read_all(items, options)
    groups = group_numbers(items)
    y = np.array([classes.index(item.label) for item in items], dtype=np.int64)
    train, validation, test = divide(Samples(x, y, groups), items, options)
    if grid is None:
        grid = fit_grid(train.x, options.bits, str(place))
    parts = [Samples(grid.apply(part.x), part.y, part.groups) for part in (train, validation, test)]
    info = DatasetInfo(
        name="folder",
        classes=classes,
        sample_shape=x.shape[1:],
        low=grid.low,
        high=grid.high,
        has_time=kind != "array" or options.n_steps > 0,
        meaning={"array": "values of the user's files", "wav": "log-mel energies"}.get(kind, "events"),
        origin=str(place.name),
        scale=grid.scale,
        group_kind="" if groups is None else "group",
        step_us=step_us,
    )
    return Splits(parts[0], parts[1], parts[2], info)


def place_of(data_dir: Path | None, path: str) -> Path:
    """The user's folder or table."""
    if data_dir is not None:
        return data_dir / path if path else data_dir
    return Path(path) if path else data_root(None, "folder", "the class sub-folders or labels.csv")


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The classes in order: by number where all are numbers, else by name."""
    names = sorted(set(labels))
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else names)


def group_numbers(items: Sequence[Item]) -> NDArray[np.int64] | None:
    """A number for each item's group, or None without groups."""
    if not items[0].group:
        return None
    return np.unique([item.group for item in items], return_inverse=True)[1].astype(np.int64)


def divide(every: Samples, items: Sequence[Item], options: FolderOptions) -> tuple[Samples, Samples, Samples]:
    """``(train, validation, test)``; parts that the table does not name are split off, seeded."""
    named = {item.split for item in items}
    if named == {""}:
        rest, test = split_off(every, options.test, options.seed)
        train, validation = split_off(rest, options.validation, options.seed + 1)
        return train, validation, test
    missing = {"train", "test"} - named
    if missing:
        raise DataError(
            f"folder: found no {min(missing)} samples in the splits given, expected train and test"
        )
    parts = {name: every.take(members(items, name)) for name in named}
    if "validation" in named:
        return parts["train"], parts["validation"], parts["test"]
    train, validation = split_off(parts["train"], options.validation, options.seed)
    return train, validation, parts["test"]


def members(items: Sequence[Item], split: str) -> NDArray[np.int64]:
    """Indices of the items of one split."""
    return np.array([place for place, item in enumerate(items) if item.split == split], dtype=np.int64)


class Read(NamedTuple):
    """What was read of all files. ``grid``: None where it is to be chosen on the training samples."""

    x: NDArray[Any]
    grid: IntegerGrid | None
    kind: str
    step_us: int | None = None


def read_all(items: Sequence[Item], options: FolderOptions) -> Read:
    """All samples, which must be of one kind."""
    kind = kind_of(items[0].path)
    for item in items:
        if kind_of(item.path) != kind:
            raise DataError(f"{item.path}: found {kind_of(item.path)}, expected {kind} as in {items[0].path}")
    if kind == "wav":
        return Read(read_sounds(items, options), IntegerGrid(0, 255, 1.0), kind)
    if kind == "events":
        frames, step_us = read_recordings(items, options)
        return Read(frames, IntegerGrid(0, (1 << options.event_bits) - 1, 1.0), kind, step_us)
    arrays = [fit_length(read_array(item.path), options.n_steps) for item in items]
    for item, array in zip(items, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise DataError(
                f"{item.path}: found shape {array.shape}, expected {arrays[0].shape} as in {items[0].path} "
                "(n_steps cuts or pads the first axis)"
            )
    return Read(np.stack(arrays), None, kind)


def fit_length(x: NDArray[Any], n_steps: int) -> NDArray[Any]:
    """``x`` cut or zero-padded to ``n_steps`` rows; unchanged where ``n_steps`` is 0."""
    if not n_steps:
        return x
    rows = x[:n_steps].reshape(min(len(x), n_steps), -1) if x.ndim == 1 else x[:n_steps]
    return np.pad(rows, [(0, n_steps - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def read_sounds(items: Sequence[Item], options: FolderOptions) -> NDArray[np.uint8]:
    """Log-mel frames (n, n_steps, n_mels) of WAV files of one sample rate."""
    sounds = [read_wav(item.path) for item in items]
    rate = sounds[0][1]
    for item, (_, found) in zip(items, sounds, strict=True):
        if found != rate:
            raise DataError(
                f"{item.path}: found {found} samples a second, expected {rate} as in the first file"
            )
    window = 1 << max(4, round(np.log2(rate * 0.032)))
    grid = MelGrid(options.n_steps or DEFAULT_STEPS, options.n_mels, rate, window)
    return np.stack([log_mel(samples, grid) for samples, _ in sounds])


def read_recordings(items: Sequence[Item], options: FolderOptions) -> tuple[NDArray[np.uint8], int]:
    """Frames (n, n_steps, 2, height, width) of event files, and the microseconds of a step."""
    recordings = [read_event_file(item.path) for item in items]
    steps = options.n_steps or DEFAULT_STEPS
    longest = max(int(r.t.max(initial=0)) for r in recordings)
    grid = EventGrid(
        steps,
        options.height or max(int(r.y.max(initial=0)) for r in recordings) + 1,
        options.width or max(int(r.x.max(initial=0)) for r in recordings) + 1,
        options.step_us or longest // steps + 1,
        options.event_bits,
    )
    frames = [bin_events(r, grid, str(i.path)) for r, i in zip(recordings, items, strict=True)]
    return np.stack(frames), grid.step_us

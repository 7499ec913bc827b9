"""N-MNIST: event-camera recordings of digits, from the subset (npz) or the original folders of .bin files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import DataError
from trainer.datasets.events import EventGrid, Events, bin_events, events_of_arrays, read_nmnist_bin
from trainer.datasets.location import data_root, find, read_npz, slices
from trainer.datasets.options import SplitOptions, positive
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off

ORIGIN = "N-MNIST by G. Orchard, A. Jayawant, G. Cohen and N. Thakor"
DURATION_US = 336_050
"""Three saccades; the longest recording ends at 336,040."""
SIDE = 34


@dataclass(frozen=True)
class EventOptions(SplitOptions):
    """Frames that the events are binned into."""

    n_steps: int = 10
    bits: int = 1
    """Payload of one pixel and step: the count is clipped to 2^bits - 1."""


def load_nmnist(data_dir: Path | None, options: EventOptions) -> Splits:
    """Samples (n, n_steps, 2, 34, 34), channel 0 OFF and 1 ON, counts up to 2^bits - 1."""
    root = data_root(data_dir, "nmnist", ORIGIN)
    steps = positive(options.n_steps, "n_steps")
    grid = EventGrid(steps, SIDE, SIDE, -(-DURATION_US // steps), positive(options.bits, "bits"))
    folders = ("nmnist_small.npz", "N-MNIST", "NMNIST", "nmnist")
    path = find(root, (*folders, "Train") if (root / "Train").exists() else folders, "nmnist", ORIGIN)
    if path.suffix == ".npz":
        train, test = read_subset(path, grid)
    else:
        folder = root if path.name == "Train" else path
        train, test = read_folder(folder / "Train", grid), read_folder(folder / "Test", grid)
    train, validation = split_off(train, options.validation, options.seed)
    info = DatasetInfo(
        name="nmnist",
        classes=tuple("0123456789"),
        sample_shape=grid.shape,
        low=0,
        high=(1 << options.bits) - 1,
        has_time=True,
        meaning=f"events of each pixel and polarity in {grid.step_us} us",
        origin=ORIGIN,
        step_us=grid.step_us,
    )
    return Splits(train, validation, test, info)


def read_subset(path: Path, grid: EventGrid) -> tuple[Samples, Samples]:
    """Train and test of the packed subset file."""
    keys = [
        f"{key}_{split}" for split in ("train", "test") for key in ("x", "y", "p", "t", "offset", "label")
    ]
    arrays = read_npz(path, keys)
    splits = []
    for split in ("train", "test"):
        packed = events_of_arrays({key: arrays[f"{key}_{split}"] for key in "xypt"}, str(path))
        parts = slices(arrays[f"offset_{split}"], len(packed.x), path)
        frames = [
            bin_events(Events(packed.x[s], packed.y[s], packed.p[s], packed.t[s]), grid, str(path))
            for s in parts
        ]
        splits.append(Samples(np.stack(frames), arrays[f"label_{split}"].astype(np.int64)))
    return splits[0], splits[1]


def read_folder(folder: Path, grid: EventGrid) -> Samples:
    """All recordings ``folder/<digit>/*.bin``, in the order of their numbers."""
    files = sorted(folder.glob("[0-9]/*.bin"), key=lambda file: (file.name, file.parent.name))
    if not files:
        raise DataError(
            f"nmnist: found no recordings in {folder}, expected {folder}/<digit>/*.bin of {ORIGIN}"
        )
    frames = np.stack([bin_events(read_nmnist_bin(file), grid, str(file)) for file in files])
    return Samples(frames, np.array([int(file.parent.name) for file in files], dtype=np.int64))

"""CIFAR-10: the balanced 10,000-image subset (npz) or the original binary version. Never pickles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.errors import DataError
from trainer.datasets.location import data_root, find, first_existing, read_npz
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import DatasetInfo, Samples, Splits, check_labels
from trainer.datasets.split import split_off

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
ORIGIN = "CIFAR-10 by A. Krizhevsky, V. Nair and G. Hinton"
PIXELS = 3 * 32 * 32
BINARY_FOLDERS = ("cifar-10-batches-bin", "cifar10")


def load_cifar10(data_dir: Path | None, options: SplitOptions) -> Splits:
    """Samples (n, 3, 32, 32) in 0..255, from ``cifar10_subset.npz`` or ``cifar-10-batches-bin/``."""
    root = data_root(data_dir, "cifar10", ORIGIN)
    binary = next((root / f for f in BINARY_FOLDERS if (root / f / "test_batch.bin").exists()), None)
    if binary is not None:
        name, (train, test) = "cifar10", read_binary(binary)
    else:
        name, (train, test) = "cifar10 subset", read_subset(root)
    train, validation = split_off(train, options.validation, options.seed)
    info = DatasetInfo(
        name=name,
        classes=CLASSES,
        sample_shape=(3, 32, 32),
        low=0,
        high=255,
        has_time=False,
        meaning="red, green and blue values 0..255 of a photograph",
        origin=ORIGIN,
    )
    return Splits(train, validation, test, info)


def read_subset(root: Path) -> tuple[Samples, Samples]:
    """Train and test of the subset file, whose images are (32, 32, 3)."""
    if first_existing(root, ("cifar-10-batches-py",)) and not (root / "cifar10_subset.npz").exists():
        raise DataError(
            f"cifar10: found the Python version in {root} (pickled files, never read here), expected the "
            f"binary version cifar-10-batches-bin of {ORIGIN}"
        )
    wanted = ("cifar10_subset.npz", "cifar-10-batches-bin/test_batch.bin")
    path = find(root, wanted, "cifar10", ORIGIN)
    arrays = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    splits = []
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"].astype(np.int64)
        if x.ndim != 4 or x.shape[1:] != (32, 32, 3) or x.dtype != np.uint8 or len(x) != len(y):
            raise DataError(f"{path}: found images {x.shape} {x.dtype}, expected (n, 32, 32, 3) uint8")
        splits.append(Samples(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y))
    return splits[0], splits[1]


def read_binary(folder: Path) -> tuple[Samples, Samples]:
    """Train and test of the binary version: rows of one label byte and 3,072 pixels, planes R, G, B."""
    batches = [read_batch(folder / f"data_batch_{number}.bin") for number in range(1, 6)]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Samples(x, y), Samples(*read_batch(folder / "test_batch.bin"))


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of one batch file."""
    if not path.exists():
        raise DataError(f"cifar10: found no file {path}, expected the binary version of {ORIGIN}")
    data = np.fromfile(path, np.uint8)
    if len(data) == 0 or len(data) % (1 + PIXELS):
        raise DataError(f"{path}: found {len(data)} bytes, expected a multiple of {1 + PIXELS}")
    rows = data.reshape(-1, 1 + PIXELS)
    y = rows[:, 0].astype(np.int64)
    check_labels(y, len(CLASSES), str(path))
    return rows[:, 1:].reshape(-1, 3, 32, 32), y

"""MNIST and Fashion-MNIST from their idx files, plain or gzipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.errors import DataError
from trainer.datasets.idx import read_idx
from trainer.datasets.location import data_root, find
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import DatasetInfo, Samples, Splits, check_labels
from trainer.datasets.split import split_off

MNIST = DatasetInfo(
    name="mnist",
    classes=tuple("0123456789"),
    sample_shape=(1, 28, 28),
    low=0,
    high=255,
    has_time=False,
    meaning="gray values 0..255 of a handwritten digit",
    origin="MNIST by Y. LeCun, C. Cortes and C. J. C. Burges",
)
FASHION_MNIST = DatasetInfo(
    name="fashion_mnist",
    classes=(
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    sample_shape=(1, 28, 28),
    low=0,
    high=255,
    has_time=False,
    meaning="gray values 0..255 of a piece of clothing",
    origin="Fashion-MNIST by H. Xiao, K. Rasul and R. Vollgraf (Zalando Research)",
)
FOLDERS = {
    "mnist": ("mnist", "MNIST/raw", "MNIST", "."),
    "fashion_mnist": ("fashion_mnist", "FashionMNIST/raw", "fashion-mnist", "."),
}


def load_mnist(data_dir: Path | None, options: SplitOptions) -> Splits:
    """Samples (n, 1, 28, 28): 60,000 to train and validate on, 10,000 to test."""
    return load_pair(data_dir, options, MNIST)


def load_fashion_mnist(data_dir: Path | None, options: SplitOptions) -> Splits:
    """Samples (n, 1, 28, 28): 60,000 to train and validate on, 10,000 to test."""
    return load_pair(data_dir, options, FASHION_MNIST)


def load_pair(data_dir: Path | None, options: SplitOptions, info: DatasetInfo) -> Splits:
    """The two splits of one data set of the family, validation taken from the training files."""
    root = data_root(data_dir, info.name, info.origin)
    train, validation = split_off(read_split(root, "train", info), options.validation, options.seed)
    return Splits(train, validation, read_split(root, "t10k", info), info)


def read_split(root: Path, prefix: str, info: DatasetInfo) -> Samples:
    """Images and labels of one split; raises DataError where they disagree."""
    images = read_idx(find_idx(root, f"{prefix}-images", "idx3", info), 3)
    labels = read_idx(find_idx(root, f"{prefix}-labels", "idx1", info), 1).astype(np.int64)
    where = f"{info.name}, {prefix} files"
    if len(images) != len(labels):
        raise DataError(f"{where}: found {len(labels)} labels, expected one for each of {len(images)} images")
    check_labels(labels, len(info.classes), where)
    return Samples(images[:, None], labels)


def find_idx(root: Path, stem: str, kind: str, info: DatasetInfo) -> Path:
    """The idx file, under the folder and file names in common use."""
    names = [f"{stem}-{kind}-ubyte{end}" for end in (".gz", "")]
    names += [f"{stem}.{kind}-ubyte{end}" for end in (".gz", "")]
    existing = [f for f in FOLDERS[info.name] if any((root / f / n).exists() for n in names)]
    folder = existing[0] if existing else FOLDERS[info.name][0]
    return find(root, [f"{folder}/{name}" for name in names], info.name, info.origin)

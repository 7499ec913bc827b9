"""Data sets as integer samples in three splits that share no group."""

from trainer.datasets.options import SplitOptions
from trainer.datasets.registry import DATASETS, load
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.torch_dataset import TorchOptions, from_torch

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "Samples",
    "SplitOptions",
    "Splits",
    "TorchOptions",
    "from_torch",
    "load",
]

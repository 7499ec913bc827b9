"""The data sets by name. To add one: write its file, add its line here and in the shared test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError
from runtime.plugins import known_or_own, made
from trainer.datasets.cifar10 import load_cifar10
from trainer.datasets.coders import coded
from trainer.datasets.digits import load_digits
from trainer.datasets.folder import FolderOptions, load_folder
from trainer.datasets.fsdd import SpeechOptions, load_fsdd
from trainer.datasets.mitbih import BeatOptions, load_mitbih
from trainer.datasets.mnist import load_fashion_mnist, load_mnist
from trainer.datasets.nmnist import EventOptions, load_nmnist
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import Splits
from trainer.datasets.watch import MotionOptions, load_watch
from trainer.tables import read_table, read_value


@dataclass(frozen=True)
class Entry:
    """The options a data set takes and the function that loads it."""

    options: type[SplitOptions]
    load: Callable[[Path | None, Any], Splits]


DATASETS: dict[str, Entry] = {
    "digits": Entry(SplitOptions, load_digits),
    "mnist": Entry(SplitOptions, load_mnist),
    "fashion_mnist": Entry(SplitOptions, load_fashion_mnist),
    "cifar10": Entry(SplitOptions, load_cifar10),
    "nmnist": Entry(EventOptions, load_nmnist),
    "fsdd": Entry(SpeechOptions, load_fsdd),
    "mitbih": Entry(BeatOptions, load_mitbih),
    "watch": Entry(MotionOptions, load_watch),
    "folder": Entry(FolderOptions, load_folder),
}


def load(name: str, data_dir: Path | None = None, options: Mapping[str, object] | None = None) -> Splits:
    """The splits of data set ``name``, its files found below ``data_dir`` or SPIKEPRESS_DATA.

    ``name`` may also be ``module:ENTRY``, or an entry point's in ``spikepress.datasets``. ``options`` is the
    table of the set's options, with a ``coder`` for any of them. Raises ConfigError on an unknown name or
    option, DataError where files are missing, malformed or leak between splits.
    """
    table = dict(options or {})
    coder = read_value(str, table.pop("coder", ""), "data.coder")
    entry = made("data.name", known_or_own("dataset", "data.name", name, DATASETS))
    if not callable(getattr(entry, "load", None)) or not isinstance(getattr(entry, "options", None), type):
        raise ConfigError(f"data.name: found a {type(entry).__name__} at {name}, expected a data set's Entry")
    splits = entry.load(data_dir, read_table(entry.options, table, f"data ({name})"))
    if not isinstance(splits, Splits):
        raise ConfigError(f"data.name: found a {type(splits).__name__} from {name}, expected Splits")
    return coded(splits, coder) if coder else splits

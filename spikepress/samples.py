"""Samples to run a model on: the test split of its own data set, another data set, a file, or stress."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from runtime.spec import Coding, InputSpec
from spikepress.rundir import RunDirectory

if TYPE_CHECKING:
    from trainer.datasets import Splits


@dataclass(frozen=True)
class TestSamples:
    """Raw integer samples ``x`` (n, ...) and their labels ``y`` (n, ...)."""

    x: NDArray[Any]
    y: NDArray[Any]

    __test__ = False  # not a class of tests, whatever its name begins with

    def __len__(self) -> int:
        return len(self.x)


def samples_of_test(run: RunDirectory, data: str | None = None, data_dir: Path | None = None) -> TestSamples:
    """The test samples of ``data`` (a data set's name or an ``.npz`` with x and y), by default of the data
    set that the run was configured with. DataError when there is none."""
    if data is not None and data.endswith(".npz"):
        return _from_file(Path(data))
    found = _splits(run, data, data_dir).test
    return TestSamples(found.x, found.y)


def raw_samples(run: RunDirectory, data: str | None, data_dir: Path | None, count: int) -> NDArray[Any]:
    """``count`` raw samples (n, ...) to compare legs on: test samples, then validation samples where those
    are fewer; fewer in all where the set has no more."""
    if data is not None and data.endswith(".npz"):
        return _from_file(Path(data)).x[:count]
    splits = _splits(run, data, data_dir)
    test = splits.test.x[:count]
    if len(test) == count:
        return test
    return np.concatenate([test, splits.validation.x[: count - len(test)]])


def _splits(run: RunDirectory, data: str | None, data_dir: Path | None) -> Splits:
    from trainer import datasets

    name, options = _configured(run)
    if data is not None and data != name:
        name, options = data, {}
    if name is None:
        raise DataError(f"{run.path}: found no config.toml that names a data set, expected one or --data")
    return datasets.load(name, data_dir, options)


def _configured(run: RunDirectory) -> tuple[str | None, Mapping[str, Any]]:
    if not run.config.exists():
        return None, {}
    table = tomllib.loads(run.config.read_text(encoding="utf-8")).get("data", {})
    return table.get("name"), {key: value for key, value in table.items() if key != "name"}


def _from_file(path: Path) -> TestSamples:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise DataError(f"data {path}: found {error}, expected an .npz file") from error
    if not {"x", "y"} <= set(arrays) or len(arrays["x"]) != len(arrays["y"]):
        raise DataError(f"data {path}: found arrays {sorted(arrays)}, expected x and y of one length")
    if not np.issubdtype(arrays["x"].dtype, np.integer):
        raise DataError(f"data {path}: found x of {arrays['x'].dtype}, expected integers")
    return TestSamples(arrays["x"], arrays["y"])


def random_samples(spec: InputSpec, count: int, rate: float = 0.1) -> NDArray[np.int32]:
    """Raw event samples (count, steps, *shape), seeded; ``rate`` of the inputs carry something."""
    rng = np.random.default_rng(11)
    shape = (count, spec.n_steps, *spec.shape)
    return np.where(rng.random(shape) < rate, rng.integers(1, 1 << spec.bits, shape), 0).astype(np.int32)


def stress_samples(spec: InputSpec, shape: tuple[int, ...], count: int = 16) -> NDArray[np.int32]:
    """Raw samples (count, *shape) meant to reach clamps and ties: silence, full scale, and random
    patterns of extreme values at falling density. Seeded."""
    bits = spec.sample_bits if spec.coding in (Coding.RATE, Coding.LATENCY, Coding.DELTA) else spec.bits
    high = (1 << bits) - 1
    low = -high if spec.signed or spec.coding is Coding.DELTA else 0
    rng = np.random.default_rng(20)
    picked = np.where(rng.random((count, *shape)) < 0.5, low, high)
    dense = rng.random((count, *shape)) < np.linspace(1.0, 0.05, count).reshape(-1, *[1] * len(shape))
    samples = np.where(dense, picked, 0)
    samples[0], samples[1] = 0, high
    return samples.astype(np.int32)

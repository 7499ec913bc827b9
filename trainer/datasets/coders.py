"""A user's own coder: raw samples become events before anything else sees them (``[data] coder``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from runtime.plugins import known_or_own, made
from trainer.datasets.samples import DatasetInfo, Samples, Splits

KEY = "data.coder"


class Coder(Protocol):
    """What ``[data] coder = "module:Class"`` names; made without arguments."""

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Events (n, steps, *shape), integers of 0 or more, of raw samples (n, *sample shape); each sample by
        itself, and always the same."""
        ...


def coded(splits: Splits, name: str) -> Splits:
    """The splits with every sample coded. ConfigError for what is no coder, DataError for what it returns."""
    coder = made(KEY, known_or_own("coder", KEY, name, {}))
    if not callable(getattr(coder, "encode", None)):
        raise ConfigError(f"{KEY}: found a {type(coder).__name__}, expected an object with encode(x)")
    parts = [_coded(coder, part, name) for part in (splits.train, splits.validation, splits.test)]
    high = max(int(part.x.max(initial=0)) for part in parts)
    info: DatasetInfo = replace(
        splits.info,
        sample_shape=parts[0].x.shape[1:],
        low=0,
        high=max(high, 1),
        has_time=True,
        meaning=f"events of {name}",
        scale=1.0,
    )
    return Splits(parts[0], parts[1], parts[2], info)


def _coded(coder: Coder, samples: Samples, name: str) -> Samples:
    x = np.asarray(coder.encode(samples.x))
    if x.ndim < 3 or len(x) != len(samples) or x.dtype.kind not in "iub":
        raise DataError(
            f"{KEY} {name}: found events of {x.shape} {x.dtype}, expected integers"
            f" ({len(samples)}, steps, *shape)"
        )
    if x.size and int(x.min()) < 0:
        raise DataError(f"{KEY} {name}: found an event of {int(x.min())}, expected 0 or more")
    return Samples(x.astype(np.int32), samples.y, samples.groups)

"""The 8x8 digits that ship inside scikit-learn: needs no files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.errors import DataError
from trainer.datasets.options import SplitOptions
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off

N_TRAIN = 1437
ORIGIN = "the optical digits of E. Alpaydin and C. Kaynak (UCI), as shipped with scikit-learn"


def load_digits(data_dir: Path | None, options: SplitOptions) -> Splits:
    """Samples (n, 1, 8, 8) in 0..16: the first 1,437 to train on, the last 360 (other writers) to test.

    ``data_dir`` is not used.
    """
    del data_dir
    try:
        from sklearn import datasets
    except ImportError as problem:
        raise DataError(
            "digits: found no scikit-learn, expected it installed (pip install scikit-learn)"
        ) from problem
    bunch = datasets.load_digits()
    x = np.asarray(bunch.images, dtype=np.uint8)[:, None]
    every = Samples(x, np.asarray(bunch.target, dtype=np.int64))
    train, validation = split_off(every.take(slice(0, N_TRAIN)), options.validation, options.seed)
    info = DatasetInfo(
        name="digits",
        classes=tuple("0123456789"),
        sample_shape=(1, 8, 8),
        low=0,
        high=16,
        has_time=False,
        meaning="gray values 0..16 of a handwritten digit",
        origin=ORIGIN,
    )
    return Splits(train, validation, every.take(slice(N_TRAIN, None)), info)

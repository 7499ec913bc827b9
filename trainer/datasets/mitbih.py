"""MIT-BIH beats, PVC or not, split between patients: from the packed file (npz) or PhysioNet's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from trainer.datasets.beats import AFTER, BEFORE, Beats, features
from trainer.datasets.location import data_root, find, read_npz
from trainer.datasets.options import GroupOptions
from trainer.datasets.physionet import PVC_CODE, read_record
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off, split_off_groups

ORIGIN = "the MIT-BIH Arrhythmia Database by G. B. Moody and R. G. Mark (PhysioNet)"
TRAIN_RECORDS = (106, 108, 114, 119)
TEST_RECORDS = (100, 121, 123, 200)


@dataclass(frozen=True)
class BeatOptions(GroupOptions):
    """Groups are records. The default records are those of the packed file (de Chazal 2004, DS1 and DS2)."""

    train_records: tuple[int, ...] = TRAIN_RECORDS
    test_records: tuple[int, ...] = TEST_RECORDS


def load_mitbih(data_dir: Path | None, options: BeatOptions) -> Splits:
    """Samples (n, 72) in -127..127, as ``trainer.datasets.beats.features`` makes them; label 1 is a PVC."""
    root = data_root(data_dir, "mitbih", ORIGIN)
    path = find(root, ("mitbih_pvc.npz", "mitdb", "mit-bih-arrhythmia-database-1.0.0"), "mitbih", ORIGIN)
    if path.suffix == ".npz":
        every = read_packed(path)
    else:
        every = read_folder(path, (*options.train_records, *options.test_records))
    train = samples_of(every, options.train_records)
    if options.validation_groups:
        train, validation = split_off_groups(train, options.validation_groups)
    else:
        train, validation = split_off(train, options.validation, options.seed)
    info = DatasetInfo(
        name="mitbih",
        classes=("other beat", "premature ventricular contraction"),
        sample_shape=train.x.shape[1:],
        low=-127,
        high=127,
        has_time=False,
        meaning="distance from the recent usual beat in 1/100 of its height, then relative RR intervals",
        origin=ORIGIN,
        group_kind="record",
    )
    return Splits(train, validation, samples_of(every, options.test_records), info)


def samples_of(every: Beats, records: Sequence[int]) -> Samples:
    """The features of all beats of the named records, in order."""
    index = np.flatnonzero(np.isin(every.record, list(records)))
    missing = sorted(set(records) - set(np.unique(every.record).tolist()))
    if missing:
        present = np.unique(every.record).tolist()
        raise ConfigError(f"mitbih records: found no record {missing[0]}, expected some of {present}")
    return Samples(features(every)[index], every.y[index], every.record[index])


def read_packed(path: Path) -> Beats:
    """All beats of the packed file."""
    keys = ("x", "y", "record", "rr_prev", "rr_next")
    arrays = read_npz(path, [f"{key}_{split}" for split in ("train", "test") for key in keys])
    joined: dict[str, NDArray[Any]] = {
        key: np.concatenate([arrays[f"{key}_train"], arrays[f"{key}_test"]]) for key in keys
    }
    if joined["x"].ndim != 2 or joined["x"].shape[1] != BEFORE + AFTER:
        raise DataError(f"{path}: found beats {joined['x'].shape}, expected (n, {BEFORE + AFTER})")
    rest = (joined[key].astype(np.int64) for key in keys[1:])
    return Beats(joined["x"], *rest)


def read_folder(folder: Path, records: Sequence[int]) -> Beats:
    """Beats of the named records of PhysioNet's folder, less the first and last of each record."""
    parts = [cut_beats(folder, record) for record in records]
    return Beats(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.record for part in parts]),
        np.concatenate([part.rr_prev for part in parts]),
        np.concatenate([part.rr_next for part in parts]),
    )


def cut_beats(folder: Path, record: int) -> Beats:
    """Beats of one record."""
    source = read_record(folder, str(record))
    peak = source.rpeak[1:-1]
    whole = (peak >= BEFORE) & (peak + AFTER <= len(source.signal))
    if not whole.any():
        raise DataError(f"{folder / str(record)}: found no whole beat, expected at least one")
    window = peak[whole, None] + np.arange(-BEFORE, AFTER)
    return Beats(
        source.signal[window],
        (source.code[1:-1][whole] == PVC_CODE).astype(np.int64),
        np.full(int(whole.sum()), record, dtype=np.int64),
        (source.rpeak[1:-1] - source.rpeak[:-2])[whole],
        (source.rpeak[2:] - source.rpeak[1:-1])[whole],
    )

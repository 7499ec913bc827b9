"""FSDD, spoken digits at 8 kHz, as log-mel frames: from the packed file (npz) or the folder of WAV files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from trainer.datasets.audio import MelGrid, log_mel, read_wav
from trainer.datasets.location import data_root, find, read_npz, slices
from trainer.datasets.options import SplitOptions, positive
from trainer.datasets.samples import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off

ORIGIN = "the Free Spoken Digit Dataset by Z. Jackson and contributors"
RATE = 8000
N_TEST_TAKES = 5
WAV_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
KEYS = ("audio", "offset", "y", "speaker", "take")


@dataclass(frozen=True)
class SpeechOptions(SplitOptions):
    """Frames of the recordings and what is held out."""

    n_steps: int = 20
    n_mels: int = 24
    test_speaker: str = ""
    """Empty: the official split (takes 0 to 4 test). A name: all takes of that speaker test."""


@dataclass(frozen=True)
class Recordings:
    """Frames (n, n_steps, n_mels) with digit, speaker number and take of each recording."""

    frames: NDArray[np.uint8]
    digit: NDArray[np.int64]
    speaker: NDArray[np.int64]
    take: NDArray[np.int64]
    speakers: tuple[str, ...]


def load_fsdd(data_dir: Path | None, options: SpeechOptions) -> Splits:
    """Samples (n, n_steps, n_mels) in 0..255.

    Official split: validation is held out by take, as the test takes are. With ``test_speaker``:
    validation is another whole speaker.
    """
    root = data_root(data_dir, "fsdd", ORIGIN)
    grid = MelGrid(positive(options.n_steps, "n_steps"), positive(options.n_mels, "n_mels"), RATE)
    folders = ("fsdd.npz", "free-spoken-digit-dataset/recordings", "recordings", "fsdd/recordings")
    path = find(root, folders, "fsdd", ORIGIN)
    every = read_packed(path, grid) if path.suffix == ".npz" else read_folder(path, grid)
    is_test, groups = test_and_groups(every, options.test_speaker)
    samples = Samples(every.frames, every.digit, groups)
    train, validation = split_off(samples.take(np.flatnonzero(~is_test)), options.validation, options.seed)
    info = DatasetInfo(
        name="fsdd",
        classes=tuple("0123456789"),
        sample_shape=(grid.n_steps, grid.n_mels),
        low=0,
        high=255,
        has_time=True,
        meaning=f"log-mel energies, {grid.range_db:g} dB below the recording's loudest cell to that cell",
        origin=ORIGIN,
        group_kind="speaker" if options.test_speaker else "take",
    )
    return Splits(train, validation, samples.take(np.flatnonzero(is_test)), info)


def test_and_groups(every: Recordings, test_speaker: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which recordings are test, and the group of each: its take, or its speaker."""
    if not test_speaker:
        return every.take < N_TEST_TAKES, every.take
    if test_speaker not in every.speakers:
        raise ConfigError(
            f"data.test_speaker: found {test_speaker!r}, expected one of {list(every.speakers)}"
        )
    return every.speaker == every.speakers.index(test_speaker), every.speaker


def read_packed(path: Path, grid: MelGrid) -> Recordings:
    """All recordings of the packed file, training part first."""
    keys = [f"{key}_{split}" for split in ("train", "test") for key in KEYS]
    arrays = read_npz(path, [*keys, "speakers"])
    frames = np.concatenate([packed_frames(arrays, split, path, grid) for split in ("train", "test")])
    digit, speaker, take = (
        np.concatenate([arrays[f"{key}_train"], arrays[f"{key}_test"]]).astype(np.int64) for key in KEYS[2:]
    )
    return Recordings(frames, digit, speaker, take, tuple(str(name) for name in arrays["speakers"]))


def packed_frames(
    arrays: dict[str, NDArray[Any]], split: str, path: Path, grid: MelGrid
) -> NDArray[np.uint8]:
    """Frames of one split's recordings."""
    audio = arrays[f"audio_{split}"]
    return np.stack([log_mel(audio[s], grid) for s in slices(arrays[f"offset_{split}"], len(audio), path)])


def read_folder(folder: Path, grid: MelGrid) -> Recordings:
    """All recordings ``<digit>_<speaker>_<take>.wav`` of the original folder."""
    named = [(WAV_NAME.fullmatch(file.name), file) for file in sorted(folder.glob("*.wav"))]
    found = [(match.groups(), file) for match, file in named if match]
    if not found:
        raise DataError(
            f"fsdd: found no recordings in {folder}, expected <digit>_<speaker>_<take>.wav of {ORIGIN}"
        )
    speakers = tuple(sorted({speaker for (_, speaker, _), _ in found}))
    return Recordings(
        np.stack([log_mel(read_at_rate(file), grid) for _, file in found]),
        np.array([int(digit) for (digit, _, _), _ in found], dtype=np.int64),
        np.array([speakers.index(speaker) for (_, speaker, _), _ in found], dtype=np.int64),
        np.array([int(take) for (_, _, take), _ in found], dtype=np.int64),
        speakers,
    )


def read_at_rate(path: Path) -> NDArray[np.int16]:
    """The samples of a WAV file at 8 kHz; raises DataError at another rate."""
    samples, rate = read_wav(path)
    if rate != RATE:
        raise DataError(f"{path}: found {rate} samples a second, expected {RATE}")
    return samples

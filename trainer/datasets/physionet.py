"""PhysioNet's MIT format: signals of format 212 and beat annotations, as MIT-BIH uses them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from trainer.datasets.events import read_file

BEAT_CODES = frozenset((*range(1, 14), 25, 30, 34, 35, 38, 41))
"""Annotation codes that are beats (isqrs in PhysioNet's ecgcodes.h)."""
PVC_CODE = 5
SKIP, NUM, SUB, CHN, AUX = 59, 60, 61, 62, 63


@dataclass(frozen=True)
class Record:
    """One patient's record: first channel (n,) in converter units, place and code of each beat."""

    signal: NDArray[np.int16]
    rpeak: NDArray[np.int64]
    code: NDArray[np.int64]


def read_record(folder: Path, name: str) -> Record:
    """The record's first channel and beats, from ``name.hea``, ``name.dat`` and ``name.atr``."""
    baseline, channels = read_header(folder / f"{name}.hea")
    signal = read_212(folder / f"{name}.dat").reshape(-1, channels)[:, 0]
    rpeak, code = read_annotations(folder / f"{name}.atr")
    beat = np.isin(code, list(BEAT_CODES)) & (rpeak < len(signal))
    return Record((signal - baseline).astype(np.int16), rpeak[beat], code[beat])


def read_header(path: Path) -> tuple[int, int]:
    """``(zero level of the first channel, channels)`` of a header of two signals in format 212."""
    lines = [line.split() for line in read_file(path).decode("latin-1").splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    try:
        channels, kind, zero = int(lines[0][1]), lines[1][1], int(lines[1][4])
    except (IndexError, ValueError) as problem:
        raise DataError(f"{path}: found a malformed header, expected PhysioNet's signal lines") from problem
    if kind != "212" or channels != 2:
        raise DataError(f"{path}: found {channels} signals in format {kind}, expected 2 in format 212")
    return zero, channels


def read_212(path: Path) -> NDArray[np.int64]:
    """Samples of format 212: two signed 12-bit values in three bytes, channels interleaved."""
    data = np.frombuffer(read_file(path), np.uint8)
    if len(data) == 0 or len(data) % 3:
        raise DataError(f"{path}: found {len(data)} bytes, expected a multiple of 3 (format 212)")
    b = data.reshape(-1, 3).astype(np.int64)
    pairs = np.stack([b[:, 0] | (b[:, 1] & 0x0F) << 8, b[:, 2] | (b[:, 1] & 0xF0) << 4], axis=1)
    return ((pairs + 2048) % 4096 - 2048).reshape(-1)


def read_annotations(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(sample, code)`` of every annotation: 16-bit words of a 6-bit code and a 10-bit interval."""
    data = read_file(path)
    if len(data) < 2 or len(data) % 2:
        raise DataError(f"{path}: found {len(data)} bytes, expected 16-bit annotation words")
    words = np.frombuffer(data, "<u2").astype(np.int64).tolist()
    times, codes, now, place = [], [], 0, 0
    while place < len(words) and words[place] != 0:
        code, interval = words[place] >> 10, words[place] & 1023
        place += 1
        if code == SKIP:
            if place + 2 > len(words):
                raise DataError(f"{path}: found the end inside a long interval, expected two more words")
            now += words[place] << 16 | words[place + 1]
            place += 2
        elif code == AUX:
            place += (interval + 1) // 2
        elif code not in (NUM, SUB, CHN):
            now += interval
            times.append(now)
            codes.append(code)
    return np.array(times, dtype=np.int64), np.array(codes, dtype=np.int64)

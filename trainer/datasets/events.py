"""Event-camera recordings: N-MNIST .bin, Prophesee .dat version 2, NPZ; and frames binned from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from trainer.datasets.location import read_npz

DAT_CD_TYPES = (0, 12)
DAT_EVENT_BYTES = 8


@dataclass(frozen=True)
class Events:
    """Events of one recording, each array (n,): column, row, polarity (0 off, 1 on), time in microseconds."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]
    t: NDArray[np.int64]


@dataclass(frozen=True)
class EventGrid:
    """Frames to bin events into: ``n_steps`` bins of ``step_us``, counts clipped to ``bits``."""

    n_steps: int
    height: int
    width: int
    step_us: int
    bits: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n_steps, 2, self.height, self.width)


def bin_events(events: Events, grid: EventGrid, where: str) -> NDArray[np.uint8]:
    """Frames (n_steps, 2, height, width) of event counts; events after the last bin are left out."""
    for name, values, size in (("x", events.x, grid.width), ("y", events.y, grid.height), ("p", events.p, 2)):
        if len(values) and not 0 <= values.min() <= values.max() < size:
            worst = values.min() if values.min() < 0 else values.max()
            raise DataError(f"{where}: found {name} = {worst} in an event, expected 0..{size - 1}")
    step = events.t // grid.step_us
    kept = (step >= 0) & (step < grid.n_steps)
    flat = ((step * 2 + events.p) * grid.height + events.y) * grid.width + events.x
    counts = np.bincount(flat[kept], minlength=grid.n_steps * 2 * grid.height * grid.width)
    return np.minimum(counts, (1 << grid.bits) - 1).astype(np.uint8).reshape(grid.shape)


def read_nmnist_bin(path: Path) -> Events:
    """Events of N-MNIST's 40-bit records: x (8), y (8), polarity (1), microseconds (23), big-endian."""
    data = np.frombuffer(read_file(path), np.uint8)
    if len(data) == 0 or len(data) % 5:
        raise DataError(f"{path}: found {len(data)} bytes, expected a multiple of 5 (40-bit events)")
    b = data.reshape(-1, 5).astype(np.int64)
    return Events(b[:, 0], b[:, 1], b[:, 2] >> 7, (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4])


def read_dat(path: Path) -> Events:
    """Events of a Prophesee .dat file, version 2: text lines that start with %, two bytes, 8-byte events."""
    data = read_file(path)
    place, version = 0, ""
    while data[place : place + 1] == b"%":
        end = data.find(b"\n", place)
        if end < 0:
            raise DataError(f"{path}: found a header without an end, expected lines that start with %")
        words = data[place:end].decode("latin-1").split()
        version = words[2] if words[1:2] == ["Version"] and len(words) > 2 else version
        place = end + 1
    if version != "2":
        raise DataError(f"{path}: found version {version or 'none'}, expected a .dat file of version 2")
    head, body = data[place : place + 2], data[place + 2 :]
    if len(head) < 2 or head[0] not in DAT_CD_TYPES or head[1] != DAT_EVENT_BYTES:
        raise DataError(f"{path}: found event type and size {list(head)}, expected 0 or 12, and 8 bytes")
    if len(body) == 0 or len(body) % DAT_EVENT_BYTES:
        raise DataError(f"{path}: found {len(body)} bytes of events, expected a multiple of 8")
    words32 = np.frombuffer(body, "<u4").reshape(-1, 2).astype(np.int64)
    word = words32[:, 1]
    return Events(word & 0x3FFF, (word >> 14) & 0x3FFF, (word >> 28) & 1, words32[:, 0])


def read_events_npz(path: Path) -> Events:
    """Events of an NPZ file with arrays ``x, y, p, t`` of one length."""
    return events_of_arrays(read_npz(path, ("x", "y", "p", "t")), str(path))


def events_of_arrays(arrays: dict[str, NDArray[Any]], where: str) -> Events:
    """Events of the arrays ``x, y, p, t``; raises DataError where they are not integers of one length."""
    parts = [arrays[key] for key in "xypt"]
    for key, part in zip("xypt", parts, strict=True):
        if part.ndim != 1 or len(part) != len(parts[0]) or part.dtype.kind not in "iub":
            raise DataError(
                f"{where}: found {key} of {part.shape} {part.dtype}, expected {len(parts[0])} integers"
            )
    x, y, p, t = (part.astype(np.int64) for part in parts)
    return Events(x, y, p, t)


def read_file(path: Path) -> bytes:
    """The file's bytes; raises DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: found a file that cannot be read ({problem.strerror})") from problem

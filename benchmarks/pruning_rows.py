"""Rows of the pruning benchmark in one JSON file that several processes may add to."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FIELDS = ("method", "granularity", "sparsity", "bits", "epochs", "seed")
"""What tells rows apart."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows measured so far; no file has none."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def key_of(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row[field] for field in FIELDS)


def add_row(path: Path, row: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Add a row, in place of an older one with its key; ``about`` says how all were measured."""
    with _alone(path):
        rows = [old for old in read_rows(path) if key_of(old) != key_of(row)]
        write_rows(path, [*rows, row], about)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Replace the file by ``rows``."""
    text = json.dumps({"about": dict(about), "rows": [dict(row) for row in rows]}, indent=1)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

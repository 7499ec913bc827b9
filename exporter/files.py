"""Writes a file under a temporary name beside its place, then renames it: nothing is left half-written."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.errors import OutputError


def write_whole(path: str | Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; ``OutputError`` where the place cannot be written."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OutputError(
            f"{target}: found {reason.lower()}, expected a place that can be written"
        ) from error

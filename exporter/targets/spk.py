"""Writes a ``Program`` as an ``.spk`` file."""

from __future__ import annotations

from pathlib import Path

from runtime import container
from runtime.program import Program


def export(program: Program, path: str | Path) -> None:
    """Write ``program`` to ``path``: temporary name, then rename; the same program gives the same bytes.

    ``OutputError`` where the place cannot be written.
    """
    container.write(program, path)

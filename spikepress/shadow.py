"""Notices when a user's own ``trainer.py`` or ``runtime.py`` hides ours. Standard library only, since
nothing of ours can be imported safely until this has been asked."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("runtime", "exporter", "trainer", "pruner")


def shadowed() -> str | None:
    """One sentence about the first hidden package, or None.

    A package of ours lies beside ``spikepress`` itself; a module of the same name from anywhere else
    (most often the current folder, which ``python -m`` puts first) would be imported instead.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if found is None or found.parent.parent != home:
            return (
                f"import {name}: found {found or 'nothing'}, expected spikepress's own package"
                f" {home / name}; rename yours or start from another folder."
            )
    return None

"""spikepress: exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.plain import interpret, load_nir

__all__ = ["interpret", "load_nir"]


def __getattr__(name: str) -> object:
    """The plain functions on first use: they load what most of the package does without."""
    if name in __all__:
        from exporter import plain

        return getattr(plain, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Runs spiking networks in integers: programs, their encodings and files, and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.check import check_program
from runtime.cost import Counts, footprint
from runtime.encodings import decode, encode
from runtime.errors import SpikepressError
from runtime.objective import Objective
from runtime.program import Program
from runtime.trace import Trace

if TYPE_CHECKING:
    from runtime.engine import Engine, Result
    from runtime.running import Ran, run

__all__ = [
    "Counts",
    "Engine",
    "Objective",
    "Program",
    "Ran",
    "Result",
    "SpikepressError",
    "Trace",
    "check_program",
    "decode",
    "encode",
    "footprint",
    "run",
]


def __getattr__(name: str) -> object:
    """The engine on first use: it loads numba, which a reader of files need not wait for."""
    if name in ("Engine", "Result"):
        from runtime import engine

        return getattr(engine, name)
    if name in ("Ran", "run"):
        from runtime import running

        return getattr(running, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

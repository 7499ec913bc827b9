"""What every emulated core offers, whichever emulator runs it: call, feed, watch and count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from spikepress.tools.cycles import Cycles
from spikepress.tools.elf import Image

Stub = Callable[["Machine"], int | None]
"""Stands in for a function of the image: its result, or None to end the run."""


class Pointer(int):
    """An address given as an argument: as wide as the core's pointers, where a plain number has 32 bits."""


@dataclass
class Count:
    """What was executed since the count began."""

    instructions: int = 0
    multiplies: int = 0
    soft_multiplies: int = 0
    """Calls of library functions that multiply or divide."""
    cycles: Cycles | None = None
    """Clock cycles with memory that never waits; None on a core whose maker publishes none."""


@dataclass(frozen=True)
class Memories:
    """The bytes of flash and RAM that the linker was given."""

    flash_bytes: int
    ram_bytes: int


class Machine(Protocol):
    """One core with an image in its flash. ``call`` runs a function; ``boot`` runs from reset."""

    image: Image

    def boot(self) -> None:
        """Run from reset until a stub ends the run."""

    def call(self, function: str, *arguments: int) -> int:
        """Run one function on a fresh stack; its result, an ``int`` or a pointer."""

    def arguments(self, kinds: str) -> tuple[int, ...]:
        """Those of the function that a stub stands in for: ``p`` for each pointer, ``w`` for 32 bits."""

    def read(self, address: int, size: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...

    def address(self, symbol: str) -> int:
        """Where a symbol lies; ConfigError where the image has none of that name."""

    def begin_count(self) -> None: ...

    def count(self) -> Count:
        """What was executed since ``begin_count``, the stubs left out."""

    def stack_bytes(self) -> int:
        """The deepest the stack has been since the start."""

"""Which compiler and which emulator a core has: the one place that knows that there are several.

Cortex-M and RISC-V come from pip (clang in ``ziglang``, Unicorn); an AVR needs avr-gcc and simavr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.targets.c_cores import Core
from spikepress.tools.compiler import AVR_GCC, STRICT, ZIG, Compiler
from spikepress.tools.elf import Image
from spikepress.tools.machine import Machine, Memories, Stub

FREESTANDING = (
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)


@dataclass(frozen=True)
class Toolchain:
    """A compiler, and what it is told beside the core's own options."""

    compiler: Compiler
    standard: tuple[str, ...]

    def flags(self, core: Core) -> tuple[str, ...]:
        own = core.zig if self.compiler is ZIG else core.gcc
        return (*own, *self.standard, *STRICT, *FREESTANDING)


PIP = Toolchain(ZIG, ("-std=c99", "-fno-sanitize=all"))
AVR = Toolchain(AVR_GCC, ("-std=gnu99", "-fno-tree-loop-distribute-patterns"))
"""GNU C for ``__flash``, which strict C99 does not know."""


def toolchain_of(core: Core) -> Toolchain:
    return AVR if core.family == "avr" else PIP


def machine_of(image: Image, core: Core, memories: Memories, stubs: Mapping[str, Stub]) -> Machine:
    """An emulated core with the image in its flash; ConfigError where its emulator is missing."""
    if core.family == "avr":
        from spikepress.tools.avr import AvrMachine

        return AvrMachine(image, core, memories, stubs)
    from spikepress.tools.emulator import UnicornMachine

    return UnicornMachine(image, core, memories, stubs)


def missing(core: Core) -> str | None:
    """Why nothing can be built or run for a core here; None where all is there."""
    from runtime.errors import ConfigError
    from spikepress.tools.avr import host

    try:
        toolchain_of(core).compiler.version()
        if core.family == "avr":
            host()
    except ConfigError as error:
        return str(error)
    return None

"""Runs a linked image on a simulated AVR (simavr), cycle by cycle: the time is the part's own.

simavr runs in a process of its own, a small C program beside this file that is compiled when it is first
needed; it is asked through a pipe.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from exporter.targets.c_cores import Core
from runtime.errors import ConfigError, ModelError
from spikepress.tools.compiler import build
from spikepress.tools.cycles import Cycles
from spikepress.tools.elf import Image
from spikepress.tools.instructions import SOFT
from spikepress.tools.machine import Count, Memories, Pointer, Stub

PARTS = {
    "avr": (("atmega328p", 32_768, 2_048, 2), ("atmega1284p", 131_072, 16_384, 2)),
    "avr6": (("atmega2560", 262_144, 8_192, 3),),
}
"""By core, the parts that are simulated: flash, RAM, bytes of a return address. The first that holds the
memories is taken; all of a core keep the same time."""
HEADER = Path("/usr/include/simavr/sim_avr.h")
TOLD = struct.Struct("<IIQQQQQ")
DATA = 0xFFFF
"""Of a symbol's address in RAM, the part that the core sees."""
FIRST_ARGUMENT = 26


@cache
def host() -> Path:
    """The program that holds the simulator; ConfigError with the install command where it cannot be built."""
    if not HEADER.exists():
        raise ConfigError(
            "emulator: found no simavr, expected it from `apt-get install libsimavr-dev libelf-dev`"
        )
    source = files("spikepress.tools").joinpath("simavr_host.c").read_text(encoding="utf-8")
    return build({"simavr_host.c": source}, ("-std=c99", "-O2", "-lsimavr", "-lelf"), "simavr_host")


@dataclass(frozen=True)
class Told:
    """The simulator's answer to a run. ``state`` 0: at a breakpoint."""

    state: int
    pc: int
    cycles: int
    instructions: int
    multiplies: int
    soft: int
    lowest: int


@dataclass
class AvrMachine:
    """A ``Machine``: an AVR that counts cycles."""

    image: Image
    core: Core
    memories: Memories
    stubs: Mapping[str, Stub] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._part, flash, _, self._return_bytes = _part(self.core, self.memories)
        self._return = flash - 2
        self._process = _started(self._part, self.image)
        weakref.finalize(self, _ended, self._process)
        self._by_address = {self.address(name): stub for name, stub in self.stubs.items()}
        for at in (*self._by_address, self._return):
            self._send(b"b", at)
        for name in SOFT & self.image.symbols.keys():
            self._send(b"m", self.address(name))
        self._last = Told(0, 0, 0, 0, 0, 0, self.stack_last)

    def boot(self) -> None:
        self._set_sp(self.stack_last)
        self._run(self.image.entry)

    def call(self, function: str, *arguments: int) -> int:
        sp = self.stack_last
        words = (self._return // 2).to_bytes(self._return_bytes, "big")
        self.write(sp - self._return_bytes + 1, words)
        self._set_sp(sp - self._return_bytes)
        first = FIRST_ARGUMENT
        for value in arguments:
            size = 2 if isinstance(value, Pointer) else 4
            first -= size
            self.write(first, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))
        self.write(1, b"\0")
        self._run(self.address(function))
        return int.from_bytes(self.read(24, 2), "little", signed=True)

    def arguments(self, kinds: str) -> tuple[int, ...]:
        first, found = FIRST_ARGUMENT, []
        for kind in kinds:
            size = 2 if kind == "p" else 4
            first -= size
            found.append(int.from_bytes(self.read(first, size), "little"))
        return tuple(found)

    def read(self, address: int, size: int) -> bytes:
        self._send(b"r", address & DATA, size)
        return self._receive(size)

    def write(self, address: int, data: bytes) -> None:
        self._send(b"w", address & DATA, len(data), data)

    def address(self, symbol: str) -> int:
        found = self.image.symbols.get(symbol)
        if found is None:
            raise ConfigError(f"image: found no symbol {symbol!r}, expected it in the firmware")
        return found.address

    def begin_count(self) -> None:
        self._send(b"c")
        self._last = Told(0, 0, 0, 0, 0, 0, self._last.lowest)

    def count(self) -> Count:
        last = self._last
        cycles = Cycles(last.cycles, last.cycles)
        return Count(last.instructions, last.multiplies, last.soft, cycles)

    def stack_bytes(self) -> int:
        return self.stack_last - self._last.lowest

    @property
    def stack_last(self) -> int:
        """The highest byte of RAM that the linker was given."""
        return (self.core.ram_origin + self.memories.ram_bytes - 1) & DATA

    def _run(self, start: int) -> None:
        """Until the function returns or a stub ends the run."""
        at = start
        while True:
            self._send(b"x", at)
            self._last = Told(*TOLD.unpack(self._receive(TOLD.size)))
            if self._last.state:
                raise ModelError(
                    f"firmware: found a stop at {self._last.pc:#x}, expected it to stay within flash and RAM"
                )
            stub = self._by_address.get(self._last.pc)
            if stub is None:
                return
            result = stub(self)
            if result is None:
                return
            self.write(24, (result & DATA).to_bytes(2, "little"))
            at = self._popped()

    def _popped(self) -> int:
        """The address that the function at hand would return to, taken from the stack."""
        sp = int.from_bytes(self.read(0x5D, 2), "little")
        words = int.from_bytes(self.read(sp + 1, self._return_bytes), "big")
        self._set_sp(sp + self._return_bytes)
        return 2 * words

    def _set_sp(self, sp: int) -> None:
        self.write(0x5D, sp.to_bytes(2, "little"))

    def _send(self, command: bytes, *values: int | bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        parts = [v if isinstance(v, bytes) else v.to_bytes(4, "little") for v in values]
        try:
            pipe.write(command + b"".join(parts))
        except BrokenPipeError as error:
            raise ModelError("simavr: found its end, expected it to run on") from error

    def _receive(self, size: int) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.flush()
        found = self._process.stdout.read(size)
        if len(found) != size:
            raise ModelError("simavr: found its end, expected it to run on")
        return found


def _part(core: Core, memories: Memories) -> tuple[str, int, int, int]:
    for part in PARTS[core.name]:
        if memories.flash_bytes <= part[1] and memories.ram_bytes <= part[2]:
            return part
    raise ConfigError(
        f"emulator: found {memories.flash_bytes:,} bytes of flash and {memories.ram_bytes:,} of RAM,"
        f" expected no more than the {PARTS[core.name][-1][0]} has"
    )


def _started(part: str, image: Image) -> subprocess.Popen[bytes]:
    """The simulator with the image in its flash."""
    end = max(segment.physical + len(segment.data) for segment in image.segments if segment.data)
    code = bytearray(b"\xff" * end)
    for segment in image.segments:
        code[segment.physical : segment.physical + len(segment.data)] = segment.data
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flash.bin"
        file.write_bytes(code)
        process = subprocess.Popen(
            [str(host()), part, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"r" + bytes(4) + (1).to_bytes(4, "little"))
        process.stdin.flush()
        process.stdout.read(1)  # it has read the file
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait()

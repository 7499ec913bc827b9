"""Runs a linked image on an emulated core (Unicorn): exactly the device's memories, every block counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from exporter.targets.c_cores import Core
from runtime.errors import ConfigError, ModelError
from spikepress.tools.cycles import TIMINGS, Cycles
from spikepress.tools.elf import Image
from spikepress.tools.instructions import SOFT, Block, take_apart
from spikepress.tools.machine import Count, Memories, Stub

PAGE = 1 << 12
PAINT = 0xA5
RETURN = 0x1000_0000
"""An address outside all memories: a call returns there and is over."""


@dataclass
class UnicornMachine:
    """A ``Machine``: a Cortex-M or a RISC-V core. Cycles are by its maker's table, if there is one."""

    image: Image
    core: Core
    memories: Memories
    stubs: Mapping[str, Stub] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._engine = _engine(self.core)
        self._timing = TIMINGS.get(self.core.name)
        self._seen: dict[tuple[int, int], int] = {}
        self._jumps: dict[tuple[int, int], int] = {}
        """Times that a block was not followed by the one behind it."""
        self._last = (0, 0)
        self._blocks: dict[tuple[int, int], Block] = {}
        self._ended = False
        self._failure: Exception | None = None
        self._map()
        self._hook()

    def boot(self) -> None:
        """Run from reset until a stub ends the run."""
        self._set("sp", self.stack_top)
        self._run(self.image.entry)

    def call(self, function: str, *arguments: int) -> int:
        """Run one function on a fresh stack; its result."""
        self._set("sp", self.stack_top)
        for number, value in enumerate(arguments):
            self._set(f"a{number}", value)
        self._set("ra", RETURN | (self.core.family == "arm"))
        self._run(self.address(function))
        return self._get("a0")

    def arguments(self, kinds: str) -> tuple[int, ...]:
        """Those of the function that a stub stands in for; pointers are as wide as all else here."""
        return tuple(self._get(f"a{number}") for number in range(len(kinds)))

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._engine.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        self._engine.mem_write(address, data)

    def address(self, symbol: str) -> int:
        """Where a symbol lies; ConfigError where the image has none of that name."""
        found = self.image.symbols.get(symbol)
        if found is None:
            raise ConfigError(f"image: found no symbol {symbol!r}, expected it in the firmware")
        return found.address & ~1 if self.core.family == "arm" else found.address

    @property
    def stack_top(self) -> int:
        return self.core.ram_origin + self.memories.ram_bytes

    def begin_count(self) -> None:
        self._seen.clear()
        self._jumps.clear()
        self._last = (0, 0)

    def count(self) -> Count:
        """What was executed since ``begin_count``, the stubs left out."""
        total = Count(cycles=None if self._timing is None else Cycles())
        soft = {s.address & ~1 for name, s in self.image.symbols.items() if name in SOFT}
        stubs = {self.address(name) for name in self.stubs}
        for (address, size), times in self._seen.items():
            if address in stubs:
                continue
            block = self._block(address, size)
            total.instructions += block.instructions * times
            total.multiplies += block.multiplies * times
            total.soft_multiplies += times if address in soft else 0
            if total.cycles is not None:
                total.cycles += block.cycles * times + block.taken * self._jumps.get((address, size), 0)
        return total

    def stack_bytes(self) -> int:
        """The deepest the stack has been since the memories were painted, in bytes that were written."""
        first = self._stack_floor()
        used = self.read(first, self.stack_top - first)
        return len(used.lstrip(bytes([PAINT])))

    def _stack_floor(self) -> int:
        variables = [s for s in self.image.sections.values() if s.writable]
        return max((s.address + s.bytes for s in variables), default=self.core.ram_origin)

    def _map(self) -> None:
        """Flash and RAM of the exact size where pages allow; beyond it the first access ends the run."""
        for origin, size in (
            (self.core.flash_origin, self.memories.flash_bytes),
            (self.core.ram_origin, self.memories.ram_bytes),
        ):
            self._engine.mem_map(origin, -(-size // PAGE) * PAGE)
        self._engine.mem_map(RETURN, PAGE)
        for segment in self.image.segments:
            self.write(segment.physical, segment.data)
        first = self._stack_floor()
        self.write(first, bytes([PAINT]) * (self.stack_top - first))

    def _hook(self) -> None:
        unicorn = _unicorn()
        self._engine.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
        for name, stub in self.stubs.items():
            at = self.address(name)
            self._engine.hook_add(unicorn.UC_HOOK_CODE, self._on_stub, stub, at, at)
        end = self.stack_top
        self._engine.hook_add(
            unicorn.UC_HOOK_MEM_WRITE | unicorn.UC_HOOK_MEM_READ, self._on_beyond, None, end, end + PAGE - 1
        )

    def _on_block(self, _engine: Any, address: int, size: int, _data: Any) -> None:
        key, last = (address, size), self._last
        self._seen[key] = self._seen.get(key, 0) + 1
        if last[0] + last[1] != address:
            self._jumps[last] = self._jumps.get(last, 0) + 1
        self._last = key

    def _on_stub(self, engine: Any, address: int, _size: int, stub: Stub) -> None:
        try:
            result = stub(self)
        except Exception as error:  # carried across the emulator's C frames, raised again in _run
            self._failure, result = error, None
        if result is None:
            self._ended = True
            engine.emu_stop()
            return
        self._set("a0", result)
        self._set("pc", self._get("ra"))

    def _on_beyond(self, _engine: Any, _access: int, address: int, *_: Any) -> None:
        self._failure = ModelError(
            f"firmware: found an access at {address:#x}, expected none beyond RAM at {self.stack_top:#x}"
        )
        self._engine.emu_stop()

    def _run(self, start: int) -> None:
        unicorn = _unicorn()
        self._ended = False
        thumb = self.core.family == "arm"
        try:
            self._engine.emu_start(start | thumb, RETURN)
        except unicorn.UcError as error:
            if self._failure is None:
                at = self._get("pc")
                raise ModelError(
                    f"firmware: found {error} at {at:#x}, expected it to stay within flash and RAM"
                ) from error
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _block(self, address: int, size: int) -> Block:
        key = (address, size)
        if key not in self._blocks:
            self._blocks[key] = take_apart(self.read(address, size), self.core.family, self._timing)
        return self._blocks[key]

    def _set(self, register: str, value: int) -> None:
        self._engine.reg_write(_registers(self.core.family)[register], value)

    def _get(self, register: str) -> int:
        return int(self._engine.reg_read(_registers(self.core.family)[register]))


def _unicorn(part: str = "") -> Any:
    """The emulator's module, which has no types; ConfigError with the install command where it is missing."""
    try:
        return import_module(f"unicorn{part}")
    except ImportError as error:
        raise ConfigError(
            "emulator: found no unicorn, expected it from `pip install 'spikepress[mcu]'`"
        ) from error


def _engine(core: Core) -> Any:
    """A fresh emulated core."""
    unicorn = _unicorn()
    if core.family == "riscv":
        return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    model = core.name.replace("cortex-", "").replace("plus", "").upper()
    engine.ctl_set_cpu_model(getattr(_unicorn(".arm_const"), f"UC_CPU_ARM_CORTEX_{model}"))
    return engine


@cache
def _registers(family: str) -> dict[str, int]:
    """Unicorn's numbers of the registers, by the names that RISC-V gives them."""
    if family == "arm":
        names = {"pc": "PC", "sp": "SP", "ra": "LR", **{f"a{n}": f"R{n}" for n in range(4)}}
        return {ours: getattr(_unicorn(".arm_const"), f"UC_ARM_REG_{its}") for ours, its in names.items()}
    own = ("pc", "sp", "ra", "a0", "a1", "a2", "a3")
    return {name: getattr(_unicorn(".riscv_const"), f"UC_RISCV_REG_{name.upper()}") for name in own}

"""The cores that C code is written for: what their compilers are told, and where their memories lie."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import UnsupportedError


@dataclass(frozen=True)
class Core:
    """One instruction set. ``gcc`` and ``zig``: the options that select it in either compiler."""

    name: str
    family: str
    gcc: tuple[str, ...]
    zig: tuple[str, ...]
    flash_origin: int
    ram_origin: int
    multiplies: bool
    """Whether it has a multiply instruction at all."""
    room: tuple[int, int] = (1 << 22, 1 << 22)
    """Flash and RAM of one that only has to be right: no device is judged by them."""
    most_array_bytes: int | None = None
    """The largest constant array, where its compiler has a limit."""
    most_data_bytes: int | None = None
    """All constant arrays together, where near pointers must reach them."""


def _arm(name: str) -> Core:
    zig = ("-target", "thumb-freestanding-eabi", f"-mcpu={name.replace('-', '_')}")
    return Core(name, "arm", (f"-mcpu={name}", "-mthumb"), zig, 0x08000000, 0x20000000, True)


def _riscv(name: str, features: str) -> Core:
    abi = "ilp32e" if name.startswith("rv32e") else "ilp32"
    zig = ("-target", "riscv32-freestanding-none", f"-mcpu=generic_rv32{features}", f"-mabi={abi}")
    gcc = (f"-march={name}", f"-mabi={abi}")
    return Core(name, "riscv", gcc, (*zig, "-mcmodel=medany"), 0x08000000, 0x20000000, "m" in name)


def _avr(name: str, architecture: str, ram_origin: int, room: tuple[int, int]) -> Core:
    """Constants lie in the first 64 KiB of flash, behind the vectors, and an array below 32 KiB.

    For an architecture with a multiplier its compiler shifts by multiplying; ``avr35`` has none, and its code
    runs on every part of ``avr5``. Parts beyond 128 KiB have no such subset.
    """
    near = (1 << 16) - 512
    flags = (f"-mmcu={architecture}",)
    return Core(name, "avr", flags, (), 0, ram_origin, True, room, (1 << 15) - 1, near)


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _arm("cortex-m0"),
        _arm("cortex-m0plus"),
        _arm("cortex-m3"),
        _arm("cortex-m4"),
        _arm("cortex-m7"),
        _arm("cortex-m33"),
        _riscv("rv32i", "-m-a-f-d-c"),
        _riscv("rv32ec", "+e-m-a-f-d+c"),
        _riscv("rv32imc", "+m-a-f-d+c"),
        _riscv("rv32imac", "+m+a-f-d+c"),
        _avr("avr", "avr35", 0x800100, (1 << 17, 1 << 14)),
        _avr("avr6", "avr6", 0x800200, (1 << 18, 1 << 13)),
    )
}

NAMES = {
    "Cortex-M0": "cortex-m0",
    "Cortex-M0+": "cortex-m0plus",
    "2 x Cortex-M0+": "cortex-m0plus",
    "Cortex-M3": "cortex-m3",
    "Cortex-M4F": "cortex-m4",
    "Cortex-M7": "cortex-m7",
    "Cortex-M33F": "cortex-m33",
    "2 x Cortex-M33F or 2 x rv32imac": "cortex-m33",
    "rv32ec": "rv32ec",
    "rv32imc": "rv32imc",
    "rv32imac": "rv32imac",
    "AVR": "avr",
    "AVR (22-bit addresses)": "avr6",
}
"""Core by the name that the catalogue of devices gives it."""


def core_of(title: str) -> Core:
    """The core a device has; UnsupportedError where no C code is written for it."""
    name = NAMES.get(title, title)
    if name not in CORES:
        raise UnsupportedError(f"core: found {title!r}, expected one of {', '.join(CORES)}")
    return CORES[name]

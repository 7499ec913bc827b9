"""Takes blocks of machine code apart, as far as counting needs: how many instructions, which multiply, and
the clock cycles of cores that have a table of them."""

from __future__ import annotations

from dataclasses import dataclass

from spikepress.tools.cycles import NONE, Cycles, Timing, thumb_cycles

SOFT = frozenset(
    {
        "__mulsi3",
        "__muldi3",
        "__mulhi3",
        "__aeabi_lmul",
        "__divsi3",
        "__udivsi3",
        "__modsi3",
        "__umodsi3",
        "__aeabi_idiv",
        "__aeabi_uidiv",
        "__aeabi_idivmod",
        "__aeabi_uidivmod",
    }
)
"""Library functions that multiply or divide where no instruction does."""


@dataclass(frozen=True)
class Block:
    """A run of code without a jump into it: its instructions, those that multiply or divide, and its cycles
    when its last instruction is no branch that is taken. ``taken``: what such a branch adds."""

    instructions: int
    multiplies: int
    cycles: Cycles = NONE
    taken: Cycles = NONE


def take_apart(code: bytes, family: str, timing: Timing | None = None) -> Block:
    """Count the instructions of a block of Thumb (``arm``) or RISC-V (``riscv``) code; no cycles without
    ``timing``, which only Thumb has."""
    step = _thumb if family == "arm" else _riscv
    at = count = multiplies = last = 0
    cycles = NONE
    while at < len(code):
        size, multiply = step(code, at)
        if timing is not None:
            cycles += thumb_cycles(_half(code, at), _half(code, at + 2) if size == 4 else None, timing)
        last, at = at, at + size
        count += 1
        multiplies += multiply
    branches = timing is not None and count > 0 and _is_conditional(code[last:])
    return Block(count, multiplies, cycles, timing.taken if branches and timing else NONE)


def _is_conditional(code: bytes) -> bool:
    """Whether a Thumb instruction is a branch that may not be taken."""
    first = _half(code, 0)
    if len(code) == 4:
        return first & 0xF800 == 0xF000 and _half(code, 2) & 0xD000 == 0x8000 and first & 0x0380 != 0x0380
    return (first >> 12 == 0b1101 and first >> 9 != 0b1101111) or first & 0xF500 == 0xB100


def _half(code: bytes, at: int) -> int:
    return int.from_bytes(code[at : at + 2], "little")


def _thumb(code: bytes, at: int) -> tuple[int, bool]:
    """(bytes, whether it multiplies or divides) of the instruction at a place."""
    first = _half(code, at)
    if first >> 11 not in (0b11101, 0b11110, 0b11111):
        return 2, first & 0xFFC0 == 0x4340
    # 0xFB..: 32-bit multiplies, long multiplies, divides; 0xEE../0xEF..: coprocessor, none is generated
    return 4, first & 0xFF00 == 0xFB00


def _riscv(code: bytes, at: int) -> tuple[int, bool]:
    first = _half(code, at)
    if first & 3 != 3:
        return 2, False
    word = first | _half(code, at + 2) << 16
    return 4, word & 0x7F == 0x33 and word >> 25 == 1

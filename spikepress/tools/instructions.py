"""Takes blocks of machine code apart, as far as counting needs: how many instructions, which multiply."""

from __future__ import annotations

from dataclasses import dataclass

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
    """A run of code without a jump into it: its instructions, and those that multiply or divide."""

    instructions: int
    multiplies: int


def take_apart(code: bytes, family: str) -> Block:
    """Count the instructions of a block of Thumb (``arm``) or RISC-V (``riscv``) code."""
    step = _thumb if family == "arm" else _riscv
    at = count = multiplies = 0
    while at < len(code):
        size, multiply = step(code, at)
        at += size
        count += 1
        multiplies += multiply
    return Block(count, multiplies)


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

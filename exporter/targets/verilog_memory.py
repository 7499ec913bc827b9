"""A memory of the core: its size, its image, and whether synthesis keeps it in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_

MOST_REGISTERS = 64
"""Bits of a memory that registers hold."""


@dataclass(frozen=True)
class Memory:
    """A memory of the core: its words, and their image where it has one."""

    name: str
    words: int
    bits: int
    image: tuple[int, ...] | None = None

    @cached_property
    def varying(self) -> int:
        """Columns of bits that are not the same in every word: synthesis stores no others."""
        if self.image is None:
            return self.bits
        mask = (1 << self.bits) - 1
        words = [word & mask for word in self.image]
        return (reduce(or_, words) & ~reduce(and_, words)).bit_count()

    @property
    def style(self) -> str:
        """Where synthesis is told to keep it: few bits, and zeros, which are a constant, in registers."""
        few = self.words * self.bits <= MOST_REGISTERS
        zeros = self.image is not None and not any(self.image)
        return "registers" if few or zeros else "block"

    @property
    def text(self) -> str:
        """The image for ``$readmemh``."""
        digits, mask = -(-self.bits // 4), (1 << self.bits) - 1
        return "".join(f"{word & mask:0{digits}x}\n" for word in self.image or ())


def width(count: int) -> int:
    """Bits of an index below ``count``, at least one."""
    return max(1, (count - 1).bit_length())


def signed_width(lowest: int, highest: int) -> int:
    """Bits of a signed number from ``lowest`` to ``highest``."""
    return max(lowest, highest, -lowest - 1).bit_length() + 1

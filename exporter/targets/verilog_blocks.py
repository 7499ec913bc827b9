"""Block RAM of the core on a device, in closed form: what is known before anything is synthesised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.targets.verilog_memory import Memory


@dataclass(frozen=True)
class Packing:
    """How yosys 0.70 puts a memory into blocks (its ``memory_libmap`` with the library of the family).

    A memory deeper than a block is so many rows side by side, whose columns share blocks; where it is written
    a block's part of ``byte`` bits belongs to one row. The shape with the least cost is taken: ``cost`` a
    block, and half a unit for each bit that is selected among rows.
    """

    cost: int
    byte: int


@dataclass(frozen=True)
class Blocks:
    """A device's block RAM: how many blocks, and the shapes (words, bits) one block can take with a port
    that reads and a port that writes. Without ``packing`` blocks are whole both ways."""

    name: str
    count: int
    shapes: tuple[tuple[int, int], ...]
    packing: Packing | None = None

    def needed(self, memory: Memory) -> int:
        """Blocks of a memory: of the shape that is taken; none of registers."""
        if memory.style != "block":
            return 0
        if self.packing is None:
            return min(-(-memory.words // words) * -(-memory.bits // bits) for words, bits in self.shapes)
        return min(_packed(memory, shape, self.packing) for shape in self.shapes)[1]

    def total(self, memories: Sequence[Memory]) -> int:
        return sum(self.needed(memory) for memory in memories)


def _packed(memory: Memory, shape: tuple[int, int], packing: Packing) -> tuple[float, int]:
    """Cost and blocks of a memory in one shape."""
    words, bits = shape
    written = memory.image is None
    rows = -(-memory.words // words)
    part = min(packing.byte, bits) if written else 1
    blocks = -(-(-(-memory.varying // part) * rows) // (bits // part))
    selected = memory.varying + written
    return packing.cost * blocks + (rows - 1) * selected / 2, blocks


Shapes = tuple[tuple[int, int], ...]
EBR: Shapes = ((256, 16), (512, 8), (1024, 4), (2048, 2))
"""4 kbit, iCE40."""
M9K: Shapes = ((256, 36), (512, 18), (1024, 9), (2048, 4), (4096, 2), (8192, 1))
"""9 kbit, Cyclone IV."""
KBIT_18: Shapes = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""18 kbit: ECP5, Gowin, and half a block of the 7 series."""


def blocks_of(device: str, block_ram_bits: int) -> Blocks:
    """The blocks of a device by its name and its bits of block RAM."""
    packing = None
    if device.startswith("ice40"):
        name, bits, shapes, packing = "EBR of 4 kbit", 1 << 12, EBR, Packing(cost=64, byte=1)
    elif device.startswith("cyclone4"):
        name, bits, shapes = "M9K of 9 kbit", 9 << 10, M9K
    else:
        name, bits, shapes = "blocks of 18 kbit", 18 << 10, KBIT_18
        packing = Packing(cost=128, byte=9) if device.startswith("ecp5") else None
    return Blocks(name, block_ram_bits // bits, shapes, packing)

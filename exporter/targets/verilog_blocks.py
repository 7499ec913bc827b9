"""Block RAM of the core on a device, in closed form: what is known before anything is synthesised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.targets.verilog import Memory


@dataclass(frozen=True)
class Blocks:
    """A device's block RAM: how many blocks, and the shapes (words, bits) one block can take with a port
    that reads and a port that writes."""

    name: str
    count: int
    shapes: tuple[tuple[int, int], ...]

    def needed(self, memory: Memory) -> int:
        """Blocks of a memory: the fewest over all shapes, whole blocks both ways; none of registers."""
        if memory.style != "block":
            return 0
        return min(-(-memory.words // words) * -(-memory.bits // bits) for words, bits in self.shapes)

    def total(self, memories: Sequence[Memory]) -> int:
        return sum(self.needed(memory) for memory in memories)


Shapes = tuple[tuple[int, int], ...]
EBR: Shapes = ((256, 16), (512, 8), (1024, 4), (2048, 2))
"""4 kbit, iCE40."""
M9K: Shapes = ((256, 36), (512, 18), (1024, 9), (2048, 4), (4096, 2), (8192, 1))
"""9 kbit, Cyclone IV."""
KBIT_18: Shapes = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""18 kbit: ECP5, Gowin, and half a block of the 7 series."""


def blocks_of(device: str, block_ram_bits: int) -> Blocks:
    """The blocks of a device by its name and its bits of block RAM."""
    if device.startswith("ice40"):
        name, bits, shapes = "EBR of 4 kbit", 1 << 12, EBR
    elif device.startswith("cyclone4"):
        name, bits, shapes = "M9K of 9 kbit", 9 << 10, M9K
    else:
        name, bits, shapes = "blocks of 18 kbit", 18 << 10, KBIT_18
    return Blocks(name, block_ram_bits // bits, shapes)

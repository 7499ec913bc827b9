"""Which form of the lists takes the fewest blocks of memory on a device."""

from __future__ import annotations

from exporter.targets.verilog import Core, describe, shares_lists
from exporter.targets.verilog_blocks import Blocks
from runtime.program import Program

LEAST_GAP_BITS = 2


def fitted(program: Program, blocks: Blocks, lanes: int = 1) -> Core:
    """The core of a program with so many lanes. Without lanes its lists hold gaps where that takes fewer
    blocks than targets do: a gap too wide for its bits costs a synapse of weight 0, and a clock.

    ConfigError and UnsupportedError as from ``describe``.
    """
    plain = describe(program, lanes)
    if lanes > 1 or shares_lists(plain.stages):
        return plain
    target_bits = plain.images.synapse_fields["distance"]
    coded = [describe(program, gap_bits=bits) for bits in range(target_bits - 1, LEAST_GAP_BITS - 1, -1)]
    return min((plain, *coded), key=lambda core: blocks.total(core.memories))

"""What a network asks of a device: exact stored bytes, worst-case RAM, and estimates of code and stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exporter.plan import Memory, MemoryPlan, plan
from runtime import container
from runtime.program import Program, n_neurons
from spikepress.card import nonzeros, program_path
from spikepress.catalog import Resource

CODE_BYTES = 3_072
"""Estimated: plain C kernels, start-up and readout at -O2 took 2.3-2.9 kB on Cortex-M and rv32i."""
STACK_BYTES = 256
"""Estimated: 76-116 bytes were measured for such a kernel; this leaves room for an interrupt."""


def needs_of(program: Program, memory: MemoryPlan) -> dict[Resource, int]:
    """The need for every resource of the catalogue."""
    flash = memory.flash_bytes + CODE_BYTES
    ram = memory.ram_bytes + STACK_BYTES
    return {
        Resource.FLASH: flash,
        Resource.RAM: ram,
        # An FPGA keeps weights and state in block RAM and needs no code.
        Resource.BLOCK_RAM: 8 * (memory.flash_bytes + memory.ram_bytes),
        Resource.NEURONS: sum(n_neurons(p) for p in program.populations[1:]),
        Resource.SYNAPSES: sum(nonzeros(program)),
        Resource.STORED_WEIGHTS: sum(table.rows * table.columns for table in program.tables),
        Resource.INPUTS: n_neurons(program.populations[0]),
    }


def needs_of_model(model: str | Path) -> dict[Resource, int]:
    """The needs of a ``.spk`` file or of the one in a run directory."""
    program = container.read(program_path(model))
    return needs_of(program, plan(program))


def ram_lines(memory: MemoryPlan) -> Mapping[str, Mapping[str, int]]:
    """Bytes of RAM by layer and kind, the estimated stack included."""
    lines: dict[str, dict[str, int]] = {}
    for line in memory.lines:
        if line.memory is Memory.RAM:
            kinds = lines.setdefault(line.layer, {})
            kinds[line.kind.value] = kinds.get(line.kind.value, 0) + line.bytes
    lines["stack"] = {"stack (estimated)": STACK_BYTES}
    return lines

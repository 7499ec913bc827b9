"""Estimates of energy per inference, as three labelled lines that are never added up or mixed.

Arithmetic and memory: M. Horowitz, ISSCC 2014, "Computing's energy problem", 45 nm at 0.9 V: 0.1 pJ for a
32-bit integer addition, 10 pJ for a 64-bit access to 8 kB of SRAM. Cycles: marginal costs of a plain C
kernel on a Cortex-M4 at zero wait states (instructions counted in emulation, cycles by instruction
table), times a microcontroller's usual energy per cycle. All three are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.cost import Counts

ADD_PJ = 0.1
SRAM_PJ_PER_BYTE = 10.0 / 8

CYCLES_PER_ADD = 11.5
CYCLES_PER_EVENT = 15.0
CYCLES_PER_UPDATE = 16.0
MCU_PJ_PER_CYCLE = 150.0
"""nRF52840 class: about 50 uA per MHz at 3 V from flash (general knowledge, not measured here)."""


@dataclass(frozen=True)
class Work:
    """What one average inference does."""

    adds: float
    """Synaptic additions executed, input coding included."""
    events: float
    """Spikes that are carried to targets."""
    updates: float
    """Neuron updates: neurons times steps."""
    bytes_touched: float
    """Bytes of weights, indices and state read or written."""


def work_of(counts: Counts) -> Work:
    """What one sample of a run did on average."""
    events = sum(part.events for part in counts.projections.values())
    touched = counts.weight_bytes + counts.state_bytes
    totals = (counts.executed_adds, events, counts.neuron_updates, touched)
    return Work(*(total / counts.samples for total in totals))


@dataclass(frozen=True)
class EnergyLine:
    name: str
    nanojoule: float
    basis: str


def energy_lines(work: Work) -> tuple[EnergyLine, ...]:
    """Estimated energy of one inference on the three bases."""
    # A neuron update is about three additions: leak, input, comparison.
    arithmetic = (work.adds + 3 * work.updates) * ADD_PJ
    memory = arithmetic + work.bytes_touched * SRAM_PJ_PER_BYTE
    cycles = work.adds * CYCLES_PER_ADD + work.events * CYCLES_PER_EVENT + work.updates * CYCLES_PER_UPDATE
    return (
        EnergyLine("integer arithmetic", arithmetic / 1e3, "estimated: 0.1 pJ per 32-bit addition, 45 nm"),
        EnergyLine(
            "arithmetic and memory traffic",
            memory / 1e3,
            "estimated: plus 1.25 pJ per byte of 8 kB SRAM, 45 nm",
        ),
        EnergyLine(
            "microcontroller",
            cycles * MCU_PJ_PER_CYCLE / 1e3,
            f"estimated: {cycles:,.0f} Cortex-M4 cycles at 150 pJ",
        ),
    )

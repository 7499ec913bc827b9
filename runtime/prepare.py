"""A program made ready to run: every projection bound to its kernel, every parameter one per neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import ENCODINGS, nonzeros
from runtime.encodings.table import Kind
from runtime.geometry import fan_out, pooled_place, window_cells
from runtime.kernels import neuron as neuron_kernel
from runtime.parameters import per_neuron
from runtime.program import EncodedMatrix, NeuronPopulation, Program, Projection, n_neurons
from runtime.scatter import Scatter, bind
from runtime.spec import Coding, Fire, IntegerNeuron, Leak, Reset, SynapticOrder

FIRE = {
    Fire.SILENT: neuron_kernel.SILENT,
    Fire.BINARY: neuron_kernel.BINARY,
    Fire.GRADED: neuron_kernel.GRADED,
}
RESET = {
    Reset.NONE: neuron_kernel.KEEP,
    Reset.SUBTRACT: neuron_kernel.SUBTRACT,
    Reset.VALUE: neuron_kernel.VALUE,
}


@dataclass(frozen=True)
class Inflow:
    """One projection, ready. ``key`` names the event list it reads, shared by equal readers."""

    number: int
    key: tuple[object, ...]
    pre: int
    delay: int
    place: NDArray[np.int32] | None
    scatter: Scatter
    extra: int
    """Left shift of every weight on top of the population's own."""
    rounding: int
    """Right shift of this projection's sum before it joins the others; 0 for none."""
    constant: bool
    """Reads a constant input: computed once a sample."""
    direct: bool
    surviving: NDArray[np.int64]
    possible: NDArray[np.int64]
    dense: int
    """Valid synapses, whatever their weight."""
    add_bytes: float
    decode_bytes: float
    event_bytes: int


@dataclass(frozen=True)
class Neurons:
    """One neuron population, ready. ``how`` and the parameters as ``kernels.neuron.update`` takes them."""

    number: int
    inflows: tuple[Inflow, ...]
    shift: int
    currents: int
    cells: NDArray[np.int32] | None
    """Windows of a max pool over currents."""
    start: NDArray[np.int32]
    threshold: NDArray[np.int32]
    reset: NDArray[np.int32]
    bias: NDArray[np.int32]
    payload_shift: NDArray[np.int32]
    how: NDArray[np.int64]
    lif: NDArray[np.int64] | None
    """``how`` of ``kernels.lif.update`` where that kernel serves, with ``amount``."""
    amount: NDArray[np.int32]
    fires: bool
    resets: bool
    cuba: bool
    state_bytes: int
    """Bytes read and written by one update."""


def prepare_neurons(program: Program, number: int) -> Neurons:
    """Bind one neuron population of a checked program."""
    population = program.populations[number]
    assert isinstance(population, NeuronPopulation)
    model, shape = population.neuron, population.shape
    into = [(k, p) for k, p in enumerate(program.projections) if p.post == number]
    shift = _common_shift([projection.shift for _, projection in into])
    currents = population.current_shape if population.pool else None
    cuba = model.synaptic_leak is not None
    return Neurons(
        number=number,
        inflows=tuple(_inflow(program, k, p, shift) for k, p in into),
        shift=shift,
        currents=math.prod(currents or shape),
        cells=window_cells(currents, population.pool) if population.pool and currents else None,
        start=per_neuron(model.start_q, shape),
        threshold=per_neuron(model.threshold_q, shape),
        reset=per_neuron(model.reset_q, shape),
        bias=per_neuron(model.bias_q, shape),
        payload_shift=per_neuron(model.payload_shift, shape),
        how=_how(model),
        lif=_lif(model, shift),
        amount=_amount(model, shape),
        fires=model.fire is not Fire.SILENT,
        resets=model.fire is not Fire.SILENT and model.reset is not Reset.NONE,
        cuba=cuba,
        state_bytes=2 * (model.width // 8) * (2 if cuba else 1),
    )


def _common_shift(shifts: list[int]) -> int:
    """The shift left to the neuron: that of a single projection, or the smallest when all are left shifts."""
    if len(shifts) == 1:
        return shifts[0]
    return min(shifts) if shifts and min(shifts) >= 0 else 0


def _how(model: IntegerNeuron) -> NDArray[np.int64]:
    leak, synaptic = _two(model.leak), _two(model.synaptic_leak or Leak())
    cuba = model.synaptic_leak is not None
    new = model.synaptic_order is SynapticOrder.NEW
    rules = (FIRE[model.fire], RESET[model.reset])
    top = (1 << model.payload_bits) - 1
    return np.array([*leak, cuba, *synaptic, new, *rules, model.v_min, model.v_max, top], np.int64)


def _lif(model: IntegerNeuron, shift: int) -> NDArray[np.int64] | None:
    """The choices as ``kernels.lif.update`` takes them; None where it cannot serve."""
    if model.fire is Fire.GRADED or model.synaptic_leak is not None:
        return None
    k1, k2 = _two(model.leak)
    current = (shift, 0, 0) if shift >= 0 else (0, 1 << (-shift - 1), -shift)
    keep = 0 if model.reset is Reset.VALUE else -1
    fires = int(model.fire is not Fire.SILENT)
    return np.array([k1, -(k1 > 0), k2, -(k2 > 0), *current, keep, model.v_min, model.v_max, fires], np.int64)


def _amount(model: IntegerNeuron, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """What a spike adds to the part of the membrane it leaves."""
    reset = per_neuron(model.reset_q, shape)
    if model.reset is Reset.NONE:
        return np.zeros_like(reset)
    return reset if model.reset is Reset.VALUE else -reset


def _two(leak: Leak) -> tuple[int, int]:
    first, second = (*leak.shifts, 0, 0)[:2]
    return first, second


def _inflow(program: Program, number: int, projection: Projection, shift: int) -> Inflow:
    pre = program.populations[projection.pre]
    table = program.tables[projection.table]
    place = pooled_place(pre.shape, projection.pool) if projection.pool else None
    neurons = int(place.max()) + 1 if place is not None else n_neurons(pre)
    surviving, possible = fan_out(projection.synapses, table, neurons)
    from_input = projection.pre == 0
    own = projection.shift - shift if projection.shift >= 0 or projection.shift == shift else 0
    costs = _costs(table)
    return Inflow(
        number=number,
        key=(projection.pre, projection.delay, projection.pool),
        pre=projection.pre,
        delay=projection.delay,
        place=place,
        scatter=bind(projection.synapses, table),
        extra=own,
        rounding=-projection.shift if projection.shift < 0 and projection.shift != shift else 0,
        constant=from_input and program.input.constant and projection.delay == 0,
        direct=from_input and program.input.coding is Coding.DIRECT,
        surviving=surviving,
        possible=possible,
        dense=int(possible.sum()),
        add_bytes=costs[0],
        decode_bytes=costs[1],
        event_bytes=costs[2],
    )


def _costs(table: EncodedMatrix) -> tuple[float, float, int]:
    """Bytes read from a table for each addition, each index and each event."""
    if "stream" in table.arrays:
        return _stream_costs(table)
    kinds = ENCODINGS[table.encoding].kinds
    decode = [a.itemsize for name, a in table.arrays.items() if kinds[name] is Kind.INDICES]
    pointer = [a.itemsize for name, a in table.arrays.items() if kinds[name] is Kind.POINTERS]
    return table.bits / 8, float(sum(decode)), 2 * sum(pointer)


def _stream_costs(table: EncodedMatrix) -> tuple[float, float, int]:
    """Rows of interleaved codes: the mean bytes of a code and its weight; an anchor and half a group's
    lengths for each event."""
    stream, width = table.arrays["stream"], int(table.arrays["coding"][1])
    kept = nonzeros(table)
    codes = kept
    if table.encoding == "nibbles":
        codes = (8 * stream.size - kept * table.bits) // 4
    return 0.0, stream.size / max(codes, 1), table.arrays["anchors"].itemsize + width

"""A program laid out for the fused kernel: flat arrays, and tables of numbers that say where things are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import decode
from runtime.errors import ModelError
from runtime.fused import forms
from runtime.fused.forms import Form
from runtime.fused.layout import Map, Plane, plane
from runtime.geometry import pooled_place, window_cells
from runtime.kernels.fused import tables as kernel
from runtime.prepare import Inflow, Neurons
from runtime.program import ConvSynapses, GatePopulation, Program, Projection

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
NOWHERE = -1
PLANE_CELLS = 1 << 17
"""Accumulators of all steps that are held side by side: half of a second-level cache."""


@dataclass
class Shelf:
    """Arrays put side by side in one; ``put`` says where each came to lie."""

    parts: list[NDArray[np.generic]] = field(default_factory=list)
    size: int = 0

    def put(self, array: NDArray[np.generic]) -> int:
        at = self.size
        self.parts.append(array)
        self.size += array.size
        return at

    def whole(self, dtype: Any) -> NDArray[Any]:
        return np.concatenate(self.parts).astype(dtype) if self.parts else np.zeros(0, dtype)


@dataclass(frozen=True)
class Plan:
    """What ``kernels.fused.driver`` takes, and what reads its results."""

    units: I64
    flows: I64
    gates: I64
    how: I64
    tables: tuple[NDArray[np.generic], ...]
    parameters: tuple[I32, I32, I32]
    start: I32
    cells: I32
    fans: I32
    maps: tuple[Map, ...]
    numbers: tuple[int, ...]
    """Population of each unit."""
    inflows: tuple[Inflow, ...]
    """Of each flow."""
    forms: tuple[Form, ...]
    spikes: int
    """Room of all spikes."""
    accumulators: int
    rest: int
    windows: Mapping[int, int]
    """Comparisons of one step of each gate."""
    slots: int
    """Most slots of a flow that events are sorted by."""
    places: int
    """Most input positions of sums."""
    outputs: int
    """Most output positions of sums."""
    rows: int
    """Most rows that reach one position."""
    planes: int
    """Most steps whose accumulators are held side by side."""

    @property
    def bytes(self) -> int:
        """What the synapses take."""
        return sum(form.bytes for form in self.forms)


class _Builder:
    """One program on its way into flat arrays."""

    def __init__(self, program: Program, neurons: Mapping[int, Neurons]) -> None:
        self.program, self.neurons = program, neurons
        self.maps = tuple(Map.of(population) for population in program.populations)
        self.tables = [Shelf() for _ in range(6)]
        self.parameters = [Shelf() for _ in range(3)]
        self.start, self.fans, self.cells = Shelf(), Shelf(), Shelf()
        self.units: list[I64] = []
        self.flows: list[I64] = []
        self.gates: list[I64] = []
        self.how: list[I64] = []
        self.inflows: list[Inflow] = []
        self.forms: list[Form] = []
        self.spike_at = np.zeros(len(self.maps), np.int64)
        self.windows: dict[int, int] = {}
        self.accumulators = self.rest = self.spikes = 0

    def plan(self) -> Plan:
        for number in self.neurons:
            self._unit(number)
        threshold, amount, bias = (shelf.whole(np.int32) for shelf in self.parameters)
        kinds = (np.int32, np.uint16, np.int8, np.int32, np.int32, np.int32)
        tables = tuple(shelf.whole(kind) for shelf, kind in zip(self.tables, kinds, strict=True))
        flows = _table(self.flows, kernel.FLOW_FIELDS)
        return Plan(
            _table(self.units, kernel.UNIT_FIELDS),
            flows,
            _table(self.gates, kernel.GATE_FIELDS),
            _table(self.how, 11),
            tables,
            (threshold, amount, bias),
            self.start.whole(np.int32),
            self.cells.whole(np.int32),
            self.fans.whole(np.int32),
            self.maps,
            tuple(self.neurons),
            tuple(self.inflows),
            tuple(self.forms),
            self.spikes + kernel.WORD,
            self.accumulators + kernel.LANES,
            self.rest,
            self.windows,
            int((flows[:, kernel.CHANNELS] * flows[:, kernel.PHASES]).max(initial=0)),
            int(flows[:, kernel.INPUTS].max(initial=0)),
            int(flows[:, kernel.OUTPUTS].max(initial=0)),
            int((flows[:, kernel.CHANNELS] * flows[:, kernel.PHASES]).max(initial=0)),
            max((int(unit[kernel.PLANES]) for unit in self.units), default=1),
        )

    def _unit(self, number: int) -> None:
        group, shape = self.neurons[number], self.maps[number]
        into = [(p, i) for i in group.inflows if (p := self.program.projections[i.number])]
        convolutions = [p.synapses for p, _ in into if isinstance(p.synapses, ConvSynapses)]
        ground = plane(shape, convolutions)
        planes = self._planes(number, ground, into)
        base, self.accumulators = self.accumulators, self.accumulators + planes * ground.size
        unit = np.zeros(kernel.UNIT_FIELDS, np.int64)
        unit[kernel.POPULATION], unit[kernel.NEURONS] = number, shape.neurons
        unit[kernel.ROW], unit[kernel.HEIGHT] = shape.width * shape.channels, shape.height
        unit[kernel.FIRST], unit[kernel.PITCH] = base + ground.first, ground.pitch
        unit[kernel.PLANE], unit[kernel.PLANES] = ground.size, planes
        unit[kernel.SEEN] = number == self.program.output
        unit[kernel.STATE] = self.start.put(group.start[shape.canonical])
        unit[kernel.PARAMETERS], unit[kernel.STRIDE] = self._parameters(group, shape)
        unit[kernel.REST] = NOWHERE
        if any(inflow.constant for _, inflow in into):
            unit[kernel.REST], self.rest = self.rest, self.rest + shape.neurons
        unit[kernel.SPIKES] = self._spikes(number)
        unit[kernel.HOW] = len(self.how)
        assert group.lif is not None
        self.how.append(group.lif)
        unit[kernel.FLOWS] = len(self.flows)
        for projection, inflow in into:
            self._flow(projection, inflow, ground, base)
        unit[kernel.FLOWS_END] = len(self.flows)
        unit[kernel.GATES] = len(self.gates)
        self._gates(number)
        unit[kernel.GATES_END] = len(self.gates)
        unit[kernel.EXTRACTS] = any(p.pre == number for p in self.program.projections)
        self.units.append(unit)

    def _planes(self, number: int, ground: Plane, into: Sequence[tuple[Projection, Inflow]]) -> int:
        """Steps whose accumulators are held side by side: several where a map is small and hears a map."""
        layered = all(p.pre < p.post for p in self.program.projections)
        gathers = any(isinstance(p.synapses, ConvSynapses) and p.pre != 0 for p, _ in into)
        if not (layered and gathers):
            return 1
        steps = self.program.input.n_steps
        most = max(1, min(steps, PLANE_CELLS // ground.size))
        return -(-steps // -(-steps // most))

    def _parameters(self, group: Neurons, shape: Map) -> tuple[int, int]:
        """Where the parameters of the first row are, and how far on the next row's."""
        arrays = np.stack([group.threshold, group.amount, group.bias])[:, shape.canonical]
        rows = arrays.reshape(3, shape.height, -1)
        stride = rows.shape[2]
        if np.all(rows == rows[:, :1]):
            rows, stride = rows[:, :1], 0
        put = [shelf.put(row.ravel()) for shelf, row in zip(self.parameters, rows, strict=True)]
        return put[0], stride

    def _spikes(self, number: int) -> int:
        """Room for a population's spikes: whole words, and one more of zeros."""
        at, words = self.spikes, -(-self.maps[number].neurons // kernel.WORD)
        self.spikes += (words + 1) * kernel.WORD
        self.spike_at[number] = at
        return at

    def _flow(self, projection: Projection, inflow: Inflow, ground: Plane, base: int) -> None:
        pre = self.maps[projection.pre]
        flow = np.zeros(kernel.FLOW_FIELDS, np.int64)
        flow[kernel.PRE], flow[kernel.DELAY] = projection.pre, projection.delay
        flow[kernel.CONSTANT] = inflow.constant
        matrix = decode(self.program.tables[projection.table])
        if isinstance(projection.synapses, ConvSynapses):
            taps = forms.conv_taps(matrix, projection.synapses, ground)
            ways = forms.phases(projection.synapses)
        else:
            order = pre.canonical
            if inflow.place is None:
                flow[kernel.SLOTS] = NOWHERE
                matrix = matrix[order]
            else:
                flow[kernel.SLOTS] = self.tables[5].put(inflow.place[order])
            taps, ways = forms.linear_taps(matrix, ground.map), 1
            flow[kernel.PLACES] = NOWHERE
        sums = projection.pre != 0 and projection.pool is None
        form = forms.fastest(taps, ways, gathers=sums)
        if form is None:
            raise ModelError(f"{projection.name}: found targets too far apart, expected them within 65,536")
        if isinstance(projection.synapses, ConvSynapses):
            self._places(flow, projection, ground, gathered=form.kind == kernel.SUMS)
            ways = len(taps) if form.kind == kernel.SUMS else ways
        flow[kernel.PHASES] = ways
        flow[kernel.TARGETS] = base + ground.first + form.low
        flow[kernel.FORM], flow[kernel.SPAN] = form.kind, form.span
        if form.slab:
            flow[kernel.SLAB], flow[kernel.SLABS] = form.slab, form.span // form.slab
            flow[kernel.SLAB_WEIGHTS] = form.pointers.size * form.slab
        arrays: tuple[NDArray[Any], ...] = (form.pointers, form.offsets, form.weights)
        for key, shelf, array in zip(
            (kernel.POINTERS, kernel.OFFSETS, kernel.WEIGHTS),
            self.tables,
            arrays,
            strict=False,
        ):
            flow[key] = shelf.put(array)
        flow[kernel.FANS] = self.fans.put(_fans(inflow, pre))
        self.flows.append(flow)
        self.inflows.append(inflow)
        self.forms.append(form)

    def _places(self, flow: I64, projection: Projection, ground: Plane, *, gathered: bool) -> None:
        """For every position in front of a convolution: its phase, or none, and where its targets start."""
        synapses, pre = projection.synapses, self.maps[projection.pre]
        assert isinstance(synapses, ConvSynapses)
        flow[kernel.CHANNELS] = pre.channels
        exact = pre.channels & (pre.channels - 1) == 0
        flow[kernel.CHANNEL_BITS] = pre.channels.bit_length() - 1 if exact else NOWHERE
        if gathered:
            self._behind(flow, synapses, ground)
            return
        _, height, width = synapses.in_shape
        place = np.arange(pre.height * pre.width)
        if projection.pool is not None:
            place = pooled_place((1, pre.height, pre.width), projection.pool).astype(np.int64)
        y, x = place // width, place % width
        down, right = synapses.stride
        phase = np.where(place < 0, NOWHERE, y % down * right + x % right)
        start = y // down * ground.pitch + x // right * ground.map.channels
        assert len(place) == 0 or place.max() < height * width
        flow[kernel.PLACES] = self.tables[3].put(start)
        flow[kernel.CELLS] = self.tables[4].put(phase)

    def _behind(self, flow: I64, synapses: ConvSynapses, ground: Plane) -> None:
        """For every output position: the input position behind each kernel cell, and where targets lie."""
        _, height, width = synapses.in_shape
        y, x = (_behind(synapses, axis) for axis in (0, 1))
        place = y[:, None, :, None] * width + x[None, :, None, :]
        inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[None, :, None, :]
        cells = np.where(inside, place, NOWHERE).reshape(-1, y.shape[1] * x.shape[1])
        row, column = np.divmod(np.arange(len(cells)), synapses.out_shape[2])
        flow[kernel.PLACES] = self.tables[3].put(row * ground.pitch + column * ground.map.channels)
        flow[kernel.CELLS] = self.tables[4].put(cells.ravel())
        flow[kernel.INPUTS], flow[kernel.OUTPUTS] = height * width, len(cells)

    def _gates(self, source: int) -> None:
        """Gates on a population, and gates on those."""
        for number, population in enumerate(self.program.populations):
            if not isinstance(population, GatePopulation) or population.source != source:
                continue
            before, after = self.maps[source], self.maps[number]
            cells = window_cells((1, before.height, before.width), population.window)
            gate = np.zeros(kernel.GATE_FIELDS, np.int64)
            gate[kernel.GATE], gate[kernel.GATE_CHANNELS] = number, after.channels
            gate[kernel.GATE_CELLS] = self.cells.put(cells.ravel())
            gate[kernel.GATE_WINDOW] = cells.shape[1]
            gate[kernel.GATE_FROM] = self.spike_at[source]
            gate[kernel.GATE_SPIKES] = self._spikes(number)
            gate[kernel.GATE_PLACES] = after.height * after.width
            self.windows[number] = int((cells >= 0).sum()) * after.channels
            self.gates.append(gate)
            self._gates(number)


def _behind(synapses: ConvSynapses, axis: int) -> NDArray[np.int64]:
    """Input position behind each kernel cell of each output along an axis: (outputs, cells)."""
    start = np.arange(synapses.out_shape[1 + axis]) * synapses.stride[axis] - synapses.padding[axis]
    cells: NDArray[np.int64] = start[:, None] + np.arange(synapses.kernel[axis]) * synapses.dilation[axis]
    return cells


def _fans(inflow: Inflow, pre: Map) -> NDArray[np.int64]:
    """Surviving and possible targets of each neuron in turn; possible is -1 where a pool leaves it out."""
    order = pre.canonical
    place = order if inflow.place is None else inflow.place[order].astype(np.int64)
    both = np.stack([inflow.surviving[place], inflow.possible[place]], axis=1)
    both[place < 0] = (0, NOWHERE)
    return np.ascontiguousarray(both).ravel()


def _table(rows: Sequence[I64], fields: int) -> I64:
    return np.array(rows, np.int64).reshape(len(rows), fields)


def make_plan(program: Program, neurons: Mapping[int, Neurons]) -> Plan:
    """Lay out a program that ``support.unsupported`` has nothing against."""
    return _Builder(program, neurons).plan()

"""A program as a table of operations over one array: what ``kernels.lanes.driver`` runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import decode
from runtime.kernels.lanes import ops as op
from runtime.lanes import neurons as firing
from runtime.lanes.arena import Arena
from runtime.lanes.cells import cells_of
from runtime.lanes.layout import TILE, VECTOR, Grid, up
from runtime.lanes.record import Flow, Plan, Record
from runtime.lanes.weights import sort_weights
from runtime.prepare import Inflow, Neurons
from runtime.program import ConvSynapses, GatePopulation, NeuronPopulation, Program, Projection
from runtime.spec import Readout

I64 = NDArray[np.int64]
MODES = {
    Readout.COUNT: op.COUNTED,
    Readout.MEMBRANE_LAST: op.LAST,
    Readout.MEMBRANE_MAX: op.LARGEST,
    Readout.MEMBRANE_SUM: op.SUMMED,
}
NOWHERE = -1
INT16 = (1 << 15) - 1


class TooWideError(Exception):
    """Sums that could leave int16: the program runs another way."""


class _Builder:
    def __init__(self, program: Program, neurons: Mapping[int, Neurons]) -> None:
        self.program, self.neurons = program, neurons
        self.steps = program.input.n_steps
        self.grids = tuple(Grid.of(population, self.steps) for population in program.populations)
        self.matrices = [decode(table) for table in program.tables]
        self.arena = Arena()
        sizes = [grid.neurons for grid in self.grids]
        late = [number for number, p in enumerate(program.projections) if p.delay]
        sizes += [self.grids[program.projections[number].pre].neurons for number in late]
        output = program.populations[program.output]
        self.record = Record(Grid.of(output, 1).maps * Grid.of(output, 1).places, len(self.grids), sum(sizes))
        self.record_at = self.arena.room(self.record.size)
        first = self.record_at + self.record.spikes
        places = (first + np.cumsum([0, *sizes])).tolist()
        self.hists = places[: len(self.grids)]
        self.late = dict(zip(late, places[len(self.grids) :], strict=False))
        self.spikes = [grid.room(self.arena) for grid in self.grids]
        self.rows = self.arena.room(self._most(self._rows))
        self.tall_sums = self.arena.room(2 * max((g.maps * g.pitch for g in self.grids if g.tall), default=0))
        self.ops: list[I64] = []
        self.flows: dict[int, Flow] = {}
        self.wide: dict[int, bool] = {}

    def plan(self) -> Plan:
        self._read()
        for number, population in enumerate(self.program.populations):
            if isinstance(population, GatePopulation):
                self._gate(number, population)
            elif isinstance(population, NeuronPopulation):
                self._neurons(number)
        self._score()
        flows = tuple(self.flows[k] for k in range(len(self.program.projections)))
        return Plan(
            np.stack(self.ops),
            self.arena.build(),
            self.grids,
            tuple(at - self.record_at for at in self.hists),
            self.record,
            self.record_at,
            flows,
            self.wide,
        )

    def _add(self, kind: int, fields: Mapping[int, int]) -> None:
        row = np.zeros(op.FIELDS, np.int64)
        row[op.KIND] = kind
        for field, value in fields.items():
            row[field] = value
        self.ops.append(row)

    def _read(self) -> None:
        grid, to = self.grids[0], self.spikes[0]
        whole = grid.padded == grid.places and not grid.tall
        maps, size = (1, grid.maps * grid.places) if whole else (grid.maps, grid.places)
        fields = {op.STEPS: self.steps, op.MAPS: maps, op.CHUNKS: size}
        self._add(op.READ, {**fields, op.TO: to, op.TO_STEP: grid.step, op.TO_MAP: grid.map})
        self._tally(0, self.hists[0], self.steps)

    def _tally(self, number: int, hist: int, steps: int) -> None:
        grid = self.grids[number]
        maps, size = (grid.maps, grid.padded) if grid.tall else (1, grid.neurons)
        fields = {op.STEPS: steps, op.MAPS: maps, op.CHUNKS: size // VECTOR, op.HIST: hist}
        heard = {op.FROM: self.spikes[number], op.FROM_STEP: grid.step, op.FROM_MAP: grid.map}
        self._add(op.TALLY, {**fields, **heard})

    def _gate(self, number: int, population: GatePopulation) -> None:
        before, after, window = self.grids[population.source], self.grids[number], population.window
        fields = {op.STEPS: self.steps, op.MAPS: after.maps}
        strides = [(op.FROM_STEP, before.step), (op.FROM_MAP, before.map), (op.TO_STEP, after.step)]
        strides.append((op.TO_MAP, after.map))
        if after.tall:
            fields = {op.STEPS: after.maps, op.MAPS: self.steps}
            swapped = {op.FROM_STEP: before.map, op.FROM_MAP: before.step}
            strides = [*swapped.items(), (op.TO_STEP, after.map), (op.TO_MAP, after.step)]
        size = {op.HEIGHT: after.height, op.WIDTH_OUT: after.width, op.PITCH: before.width}
        size |= {op.HEIGHT_IN: before.height, op.WIDTH_IN: before.width}
        sides = {op.KERNEL_Y: window.kernel[0], op.KERNEL_X: window.kernel[1]}
        sides |= {op.STRIDE_Y: window.stride[0], op.STRIDE_X: window.stride[1]}
        sides |= {op.PAD_Y: window.padding[0], op.PAD_X: window.padding[1]}
        ends = {op.FROM: self.spikes[population.source], op.TO: self.spikes[number]}
        self._add(op.POOL, {**fields, **dict(strides), **size, **sides, **ends})
        self._tally(number, self.hists[number], self.steps)

    def _neurons(self, number: int) -> None:
        group, grid = self.neurons[number], self.grids[number]
        into = [(p, i) for i in group.inflows if (p := self.program.projections[i.number])]
        reach = self._reach(grid, into)
        seen = number == self.program.output and self.program.readout is not Readout.COUNT
        fixed = firing.place(group, grid, self.arena, None if seen else reach)
        assert group.lif is not None
        sums = self._sums(grid)
        ahead = [(p, i) for p, i in into if p.delay == 0]
        for order, (projection, inflow) in enumerate(ahead):
            self._hear(projection, inflow, sums, adds=order > 0)
        if not ahead:
            size = 2 * (grid.maps * grid.pitch if grid.tall else 0)
            sums = self.arena.room(size) if size else sums
        flat = sums if grid.tall else self._turned(grid, sums)
        self.wide[number] = fixed.wide
        output = number == self.program.output
        if output:
            self.seen = self.arena.room(4 * self.steps * grid.neurons)
            self.seen_step = 4 * grid.neurons
        fields = {
            op.STEPS: self.steps,
            op.MAPS: fixed.maps,
            op.CHUNKS: fixed.chunks,
            op.FROM: flat,
            op.FROM_STEP: 2 * grid.step,
            op.FROM_MAP: 2 * grid.map,
            op.TO: self.spikes[number],
            op.TO_STEP: grid.step,
            op.TO_MAP: grid.map,
            op.HIST: self.hists[number],
            op.RULES: self.arena.put(group.lif),
            op.WIDTH: 32 if fixed.wide else 16,
            op.PARAMS: fixed.at,
            op.PARAMS_MAP: fixed.map,
            op.PARAMS_CHUNK: fixed.chunk,
            op.TAIL: fixed.tail,
            op.SEEN: self.seen if output else NOWHERE,
            op.SEEN_STEP: self.seen_step if output else 0,
            op.MARKS: self.record_at + self.record.marks + 16 * number,
        }
        again = [(p, i) for p, i in into if p.delay]
        if not again:
            self._add(op.FIRE, fields)
            return
        self._repeat(number, again[0], fields)

    def _reach(self, grid: Grid, into: list[tuple[Projection, Inflow]]) -> tuple[I64, I64]:
        """Lowest and highest sum of a step, neuron by neuron."""
        low, high = np.zeros(grid.maps, np.int64), np.zeros(grid.maps, np.int64)
        for projection, _ in into:
            matrix = self.matrices[projection.table].astype(np.int64)
            if isinstance(projection.synapses, ConvSynapses):
                outputs = projection.synapses.out_shape[0]
                matrix = matrix.reshape(len(matrix), outputs, -1).swapaxes(1, 2).reshape(-1, outputs)
            else:
                matrix = matrix.reshape(len(matrix), grid.maps * grid.places)
            fall, rise = np.minimum(matrix, 0).sum(axis=0), np.maximum(matrix, 0).sum(axis=0)
            if fall.size != low.size:
                low, high = np.repeat(low, grid.places), np.repeat(high, grid.places)
            low, high = low + fall, high + rise
        if max(-low.min(initial=0), high.max(initial=0)) > INT16:
            raise TooWideError
        if low.size == grid.maps:
            low, high = np.repeat(low, grid.places), np.repeat(high, grid.places)
        return low, high

    def _sums(self, grid: Grid) -> int:
        """Room for a layer's sums, (outputs, lanes) int16."""
        if grid.tall:
            return self.tall_sums
        lanes = max(grid.pitch, self._lanes(grid))
        return self.arena.room(2 * lanes * up(grid.neurons, TILE))

    def _lanes(self, grid: Grid) -> int:
        """Lanes of an output of a linear layer: steps."""
        return Grid(1, 1, 1, grid.steps).pitch

    def _hear(self, projection: Projection, inflow: Inflow, sums: int, *, adds: bool) -> None:
        if isinstance(projection.synapses, ConvSynapses):
            self._convolve(projection, projection.synapses, inflow, sums, adds=adds)
        else:
            self._connect(projection, inflow, sums, adds=adds)

    def _convolve(
        self, projection: Projection, synapses: ConvSynapses, inflow: Inflow, sums: int, *, adds: bool
    ) -> None:
        grid, post = self.grids[projection.pre], self.grids[projection.post]
        at, pitch = self.spikes[projection.pre], grid.pitch
        if not grid.tall:
            reach = grid.height * grid.width
            at = self.arena.room(up(grid.maps, TILE) * pitch + pitch, before=reach + VECTOR)
            self._turn(
                (self.steps, grid.maps, grid.padded), (self.spikes[projection.pre], grid.step), (at, pitch)
            )
        shifts, borders = cells_of(synapses, grid)
        first = self.arena.put(borders)
        table = np.stack([shifts, first + np.arange(len(shifts)) * grid.pitch], axis=1).astype(np.int32)
        matrix = self.matrices[projection.table].reshape(grid.maps, post.maps, -1)
        rows = matrix.transpose(2, 0, 1).reshape(-1, post.maps)
        heard = {op.FROM: at, op.FROM_MAP: pitch, op.MAPS: grid.maps, op.ROWS: self.rows}
        cells = {op.TAPS: len(shifts), op.TAP_TABLE: self.arena.put(table)}
        self._gather(
            projection, inflow, rows, post.pitch, {**heard, **cells, op.SUMS: sums, op.ADDS: int(adds)}
        )

    def _connect(self, projection: Projection, inflow: Inflow, sums: int, *, adds: bool) -> None:
        grid, post = self.grids[projection.pre], self.grids[projection.post]
        lanes = self._lanes(grid)
        blocks = Grid(1, 1, 1, self.steps).block
        single = lanes == blocks
        rows = grid.maps * grid.padded
        at = self.rows if single else self.arena.room((grid.neurons + TILE) * lanes)
        source = self.spikes[projection.pre]
        if grid.tall:
            more = {op.TIMES: grid.maps, op.FROM_NEXT: grid.map, op.TO_NEXT: grid.padded * lanes}
            self._turn((self.steps, grid.padded, 1), (source, grid.step), (at, lanes), more)
        else:
            self._turn((self.steps, grid.neurons, 1), (source, grid.step), (at, lanes))
        matrix = self.matrices[projection.table]
        wide = np.zeros((rows, post.maps * post.padded), np.int32)
        here, there = (
            (np.arange(g.maps)[:, None] * g.padded + np.arange(g.places)).ravel() for g in (grid, post)
        )
        wide[np.ix_(here, there)] = matrix
        fields = {op.ROWS: at, op.SUMS: sums, op.ADDS: int(adds)}
        if not single:
            every = self.arena.put(np.full(lanes, -1, np.int8))
            table = self.arena.put(np.array([0, every], np.int32))
            fields |= {op.FROM: at, op.FROM_MAP: lanes, op.MAPS: rows, op.TAPS: 1, op.TAP_TABLE: table}
            fields[op.ROWS] = self.rows
        self._gather(projection, inflow, wide, lanes, fields)

    def _gather(
        self,
        projection: Projection,
        inflow: Inflow,
        rows: NDArray[np.int32],
        lanes: int,
        fields: dict[int, int],
    ) -> None:
        """``rows`` (mask rows, outputs); ``lanes`` of an output."""
        entries = sort_weights(rows, 2 * lanes)
        post = self.grids[projection.post]
        block = (
            post.block if isinstance(projection.synapses, ConvSynapses) else Grid(1, 1, 1, self.steps).block
        )
        sizes = {op.LANES: block, op.BLOCKS: lanes // block, op.OUTPUTS: rows.shape[1]}
        tables = {
            op.RECORDS: self.arena.put(entries.records),
            op.INDEX: self.arena.put(entries.rows),
            op.WEIGHTS: self.arena.put(entries.values),
        }
        self._add(op.GATHER, {**fields, **sizes, **tables, op.NARROW: int(entries.narrow)})
        flow = Flow(
            inflow,
            entries,
            self.hists[projection.pre] - self.record_at,
            entries.rows.size * lanes,
            entries.rows.size * (lanes // block),
            entries.bytes,
        )
        self.flows[inflow.number] = flow

    def _turn(
        self,
        shape: tuple[int, int, int],
        source: tuple[int, int],
        target: tuple[int, int],
        more: Mapping[int, int] | None = None,
    ) -> None:
        """Transpose (rows, columns) of elements of so many bytes, from a place and pitch to another."""
        rows, columns, size = shape
        fields = {op.STEPS: rows, op.MAPS: columns, op.SIZE: size, op.TIMES: 1}
        ends = {op.FROM: source[0], op.FROM_STEP: source[1], op.TO: target[0], op.TO_STEP: target[1]}
        self._add(op.TURN, {**fields, **ends, **(more or {})})

    def _turned(self, grid: Grid, sums: int) -> int:
        """A layer's sums step by step: (steps, neurons)."""
        lanes = grid.pitch if grid.places > 1 else self._lanes(grid)
        to = self.arena.room(2 * up(lanes, TILE) * grid.neurons)
        size, columns = (2 * grid.padded, self.steps) if grid.places > 1 else (2, lanes)
        self._turn((grid.maps, columns, size), (sums, 2 * lanes), (to, 2 * grid.neurons))
        return to

    def _repeat(self, number: int, again: tuple[Projection, Inflow], fields: dict[int, int]) -> None:
        (projection, inflow), grid = again, self.grids[number]
        bits = (grid.neurons - 1).bit_length()
        rows = np.zeros((grid.neurons, 1 << bits), np.int8)
        here = (np.arange(grid.maps)[:, None] * grid.padded + np.arange(grid.places)).ravel()
        matrix = self.matrices[projection.table]
        rows[np.ix_(here, here)] = matrix
        state = {
            op.STATE: self.arena.room(4 * grid.neurons),
            op.EVENTS: self.arena.room(4 * grid.neurons),
            op.WEIGHT_ROWS: self.arena.put(rows),
            op.ROW: bits,
            op.DELAY: projection.delay,
            op.GROUP: max(1, 127 // max(1, int(np.abs(matrix).max(initial=0)))),
        }
        self._add(op.REPEAT, {**fields, **state})
        late = self.late[inflow.number]
        self._tally(number, late, max(0, self.steps - projection.delay))
        self.flows[inflow.number] = Flow(inflow, None, late - self.record_at, grid.neurons, 0, rows.nbytes)

    def _score(self) -> None:
        number = self.program.output
        grid = self.grids[number]
        fields = {op.STEPS: self.steps, op.FROM: self.spikes[number], op.FROM_STEP: grid.step}
        seen = {op.SEEN: self.seen, op.SEEN_STEP: self.seen_step}
        count = {op.COUNT: grid.maps * grid.places, op.MODE: MODES[self.program.readout]}
        self._add(op.SCORE, {**fields, **seen, **count, op.TO: self.record_at})

    def _most(self, size: Any) -> int:
        return max((size(projection) for projection in self.program.projections), default=0)

    def _rows(self, projection: Projection) -> int:
        """Bytes of a block's mask rows."""
        grid = self.grids[projection.pre]
        if isinstance(projection.synapses, ConvSynapses):
            taps = projection.synapses.kernel[0] * projection.synapses.kernel[1]
            return taps * grid.maps * self.grids[projection.post].block
        block = Grid(1, 1, 1, self.steps).block
        return (grid.neurons + TILE) * block


def make_plan(program: Program, neurons: Mapping[int, Neurons]) -> Plan:
    """Lay out a program that ``support.unsupported`` allows; ``TooWideError`` where sums could leave
    int16."""
    return _Builder(program, neurons).plan()

"""Whole nets against the entropy bounds: trained ones from their files, and random ones of a known shape."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.random_tables import Matrix, uniform
from runtime.choice import choose
from runtime.container import from_bytes, read, to_bytes
from runtime.encodings import decode, encode
from runtime.geometry import window_output
from runtime.program import (
    ConvSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Window,
)
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth

DIGITS = ("784-800-10", (784, 800, 10), 0.03, 4)
PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of VGG-16's convolutions for 32 x 32 images; 0 halves the sides."""


@dataclass(frozen=True)
class Table:
    """One table in its smallest encoding that runs. Bytes count everything; bounds are in bytes."""

    name: str
    rows: int
    columns: int
    bits: int
    density: float
    encoding: str
    bytes: int
    bound_zero_order: float
    bound_per_row: float
    ratio: float
    runner_up: str


@dataclass(frozen=True)
class Net:
    """A net's tables together."""

    name: str
    tables: tuple[Table, ...]
    bytes: int
    bound: float
    """Sum of the tables' smaller bounds."""
    ratio: float


def net_of(name: str, path: Path) -> Net:
    """A trained net's tables, each in the encoding with the fewest bytes."""
    program = read(path)
    users = {p.table: p for p in program.projections}
    found = []
    for number, table in enumerate(program.tables):
        if table.encoding == "diagonal":
            continue
        synapses = users[number].synapses
        taps = math.prod(synapses.kernel) if isinstance(synapses, ConvSynapses) else 1
        found.append(_table(users[number].name, decode(table), table.bits, taps))
    return _net(name, found)


def random_net(case: tuple[str, tuple[int, ...], float, int]) -> Net:
    """A fully connected net under a uniform random mask over uniform weights."""
    name, sizes, density, bits = case
    pairs = itertools.pairwise(sizes)
    tables = [_table(f"{a}-{b}", uniform(a, b, density, bits), bits, 1) for a, b in pairs]
    return _net(f"{name}, uniform mask", tables)


def _table(name: str, matrix: Matrix, bits: int, taps: int) -> Table:
    choice = choose(matrix, bits, taps=taps)
    return Table(
        name,
        *matrix.shape,
        bits,
        round(choice.density, 5),
        choice.encoding,
        choice.chosen.bytes,
        round(choice.bounds.zero_order / 8, 1),
        round(choice.bounds.per_row / 8, 1),
        round(choice.ratio, 4),
        choice.runner_up.encoding if choice.runner_up else "-",
    )


def _net(name: str, tables: Sequence[Table]) -> Net:
    stored = sum(table.bytes for table in tables)
    bound = sum(min(table.bound_zero_order, table.bound_per_row) for table in tables)
    return Net(name, tuple(tables), stored, round(bound, 1), round(stored / bound, 4))


def vgg16(density: float = 0.05) -> dict[str, object]:
    """Processor seconds to choose and encode the tables of a net of VGG-16's shape, to write and to load it.

    Compiled code is warm; a file's reader checks everything in it.
    """
    vgg_program(density, narrow=16)
    start = time.process_time()
    program, encoding = vgg_program(density)
    data = to_bytes(program)
    written = time.process_time() - start
    loads = []
    for _ in range(5):
        start = time.process_time()
        from_bytes(data)
        loads.append(time.process_time() - start)
    return {
        "weights": sum(table.rows * table.columns for table in program.tables),
        "density": density,
        "file_bytes": len(data),
        "encodings": sorted({table.encoding for table in program.tables}),
        "encode_s": round(encoding, 3),
        "make_and_write_s": round(written, 3),
        "load_s": round(sorted(loads)[len(loads) // 2], 4),
    }


def vgg_program(density: float, narrow: int = 1) -> tuple[Program, float]:
    """The net under uniform masks, and the seconds that choosing and encoding took; ``narrow`` divides its
    channels."""
    populations: list[Population] = [InputPopulation("input", (3, 32, 32))]
    projections: list[Projection] = []
    tables: list[EncodedMatrix] = []
    spent = 0.0
    for number, wanted in enumerate((*PLAN, 10)):
        shape, before = populations[-1].shape, len(populations) - 1
        if wanted == 0:
            window = Window((2, 2), (2, 2))
            populations.append(GatePopulation(f"pool{number}", window_output(shape, window), before, window))
            continue
        last = number == len(PLAN)
        channels = wanted if last else wanted // narrow
        taps = 1 if last else 9
        matrix = uniform(shape[0], channels * taps, density, 8, seed=number)
        start = time.process_time()
        tables.append(encode(matrix, choose(matrix, 8, taps=taps).encoding, 8, taps=taps))
        spent += time.process_time() - start
        out = (channels, *shape[1:])
        sides = (3, 3), (1, 1), (1, 1), (1, 1)
        synapses = LinearSynapses() if last else ConvSynapses((shape[0], *shape[1:]), out, *sides, 1)
        populations.append(NeuronPopulation(f"layer{number}", out, _neuron(last)))
        projections.append(Projection(f"synapses{number}", before, before + 1, synapses, len(tables) - 1))
    spec = InputSpec((3, 32, 32), Coding.EVENTS, 4)
    output = len(populations) - 1
    parts = tuple(populations), tuple(projections), tuple(tables)
    return Program(spec, *parts, output, Readout.MEMBRANE_LAST), spent


def _neuron(last: bool) -> IntegerNeuron:
    return IntegerNeuron(
        leak=Leak((2,)),
        fire=Fire.SILENT if last else Fire.BINARY,
        reset=Reset.NONE if last else Reset.SUBTRACT,
        width=StateWidth.INT16,
        v_min=-(1 << 15),
        v_max=(1 << 15) - 1,
        frac_bits=0,
        threshold_q=(256,),
        reset_q=(256,),
        bias_q=(0,),
        start_q=(0,),
    )

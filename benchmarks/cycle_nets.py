"""Networks that cycle costs are fitted to: every encoding and width, and neurons of every kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from exporter.plan import PlanOptions, Queues
from runtime.encodings import encode
from runtime.geometry import conv_output, window_output
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Synapses,
    Window,
    n_neurons,
)
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth

KEPT = {"dense": (8, 4, 3, 2, 1), "lists": (8, 4, 3, 2), "gaps": (8, 4, 3, 2), "bitmap": (8, 4, 3, 2)}
ENCODINGS: dict[str, tuple[int, ...]] = {
    **KEPT,
    **{f"blocks{size}": (8, 4, 3) for size in (4, 8, 16)},
    **dict.fromkeys(("packed", "records"), (8,)),
    **dict.fromkeys(("rice", "nibbles", "codebook", "huffman"), (8, 4)),
    "signs": (2,),
}
"""Widths by encoding: whole bytes, fields of bytes, and fields that cross bytes are read differently."""
DENSITIES = (0.05, 0.2, 0.6)
HALF = Window((2, 2), (2, 2))


@dataclass(frozen=True)
class Net:
    """A program, how it is scheduled, and the shares of its input that are not zero when it is measured."""

    program: Program
    options: PlanOptions
    rates: tuple[float, ...] = (0.05, 0.3)


def nets(seed: int, encodings: tuple[str, ...] = tuple(ENCODINGS)) -> Iterator[Net]:
    """All networks, the same ones for a seed."""
    rng = np.random.default_rng(seed)
    for encoding in encodings:
        for bits in ENCODINGS[encoding]:
            for density in DENSITIES:
                for build in (_linear, _conv):
                    queues = Queues.LISTS if rng.random() < 0.6 else Queues.BITMAPS
                    yield Net(build(_Draw(rng, encoding, bits, density)), PlanOptions(queues=queues))


class _Draw:
    """One network, part by part."""

    def __init__(self, rng: np.random.Generator, encoding: str, bits: int, density: float) -> None:
        self.rng, self.encoding, self.bits, self.density = rng, encoding, bits, density
        self.populations: list[Population] = []
        self.projections: list[Projection] = []
        self.tables: list[EncodedMatrix] = []

    def input(self, shape: tuple[int, ...]) -> InputSpec:
        self.populations.append(InputPopulation("input", shape))
        kind = self.rng.integers(5)
        steps = int(self.rng.integers(3, 9))
        if kind < 2:
            return InputSpec(shape, Coding.EVENTS, steps)
        if kind == 2:
            return InputSpec(shape, Coding.EVENTS, steps, bits=3)
        return InputSpec(shape, Coding.DIRECT, steps, bits=int(self.rng.integers(3, 9)), constant=kind == 3)

    def neurons(self, shape: tuple[int, ...], *, silent: bool = False, pool: Window | None = None) -> int:
        currents = shape if pool else None
        shape = window_output(shape, pool) if pool else shape
        model = self._neuron(shape, silent)
        self.populations.append(NeuronPopulation(f"p{len(self.populations)}", shape, model, pool, currents))
        return len(self.populations) - 1

    def gate(self, source: int, window: Window) -> int:
        shape = window_output(self.populations[source].shape, window)
        self.populations.append(GatePopulation(f"p{len(self.populations)}", shape, source, window))
        return len(self.populations) - 1

    def join(
        self, pre: int, post: int, synapses: Synapses, pool: Window | None = None, delay: int = 0
    ) -> None:
        rows, columns, taps = self._shape(pre, post, synapses, pool)
        highest = 1 if self.bits <= 2 else min((1 << (self.bits - 1)) - 1, int(self.rng.choice((2, 9, 30))))
        weights = self.rng.integers(1, highest + 1, (rows, columns)) * self.rng.choice(
            (-1, 1), (rows, columns)
        )
        density = 1.0 if isinstance(synapses, DiagonalSynapses) or self.bits == 1 else self.density
        weights = (weights * (self.rng.random((rows, columns)) < density)).astype(np.int32)
        weights[0, 0] = 1
        name = "diagonal" if isinstance(synapses, DiagonalSynapses) else self.encoding
        self.tables.append(encode(weights, name, 16 if name == "diagonal" else self.bits, taps=taps))
        name, number = f"s{len(self.projections)}", len(self.tables) - 1
        shift = int(self.rng.integers(0, 2))
        self.projections.append(Projection(name, pre, post, synapses, number, shift, delay, pool))

    def _shape(self, pre: int, post: int, synapses: Synapses, pool: Window | None) -> tuple[int, int, int]:
        source, target = self.populations[pre], self.populations[post]
        if isinstance(synapses, ConvSynapses):
            taps = math.prod(synapses.kernel)
            return synapses.in_shape[0], synapses.out_shape[0] * taps, taps
        if isinstance(synapses, DiagonalSynapses):
            return 1, target.shape[0], 1
        rows = math.prod(window_output(source.shape, pool)) if pool else n_neurons(source)
        return rows, n_neurons(target), 1

    def _neuron(self, shape: tuple[int, ...], silent: bool) -> IntegerNeuron:
        rng, size = self.rng, math.prod(shape)
        lengths = [1, shape[0], size]
        threshold = rng.integers(15, 60, int(rng.choice(lengths))).tolist()
        bias = rng.integers(-3, 4, int(rng.choice(lengths))).tolist() if rng.random() < 0.5 else [0]
        width = StateWidth.INT16 if rng.random() < 0.7 else StateWidth.INT32
        bound = 1 << 14 if rng.random() < 0.5 else 100
        leak = ((), (3,), (2, 4))[int(rng.integers(3))]
        reset = Reset.SUBTRACT if rng.random() < 0.7 else Reset.VALUE
        levels = threshold if reset is Reset.SUBTRACT else [0]
        fire = Fire.SILENT if silent else Fire.BINARY
        synaptic = Leak((2,)) if rng.random() < 0.15 and not silent else None
        return IntegerNeuron(
            Leak(leak),
            fire,
            Reset.NONE if silent else reset,
            width,
            -bound,
            bound,
            0,
            tuple(threshold),
            tuple(levels),
            tuple(bias),
            (0,),
            synaptic_leak=synaptic,
        )

    def program(self, spec: InputSpec, readout: Readout) -> Program:
        last = len(self.populations) - 1
        parts = tuple(self.populations), tuple(self.projections), tuple(self.tables)
        return Program(spec, *parts, last, readout)


def _linear(draw: _Draw) -> Program:
    rng = draw.rng
    spec = draw.input((int(rng.integers(60, 200)),))
    hidden = draw.neurons((int(rng.integers(30, 100)),))
    draw.join(0, hidden, LinearSynapses())
    if rng.random() < 0.3:
        draw.join(hidden, hidden, LinearSynapses(), delay=1)
    silent = bool(rng.random() < 0.5)
    last = draw.neurons((10,), silent=silent)
    draw.join(hidden, last, LinearSynapses())
    return draw.program(spec, Readout.MEMBRANE_SUM if silent else Readout.COUNT)


def _conv(draw: _Draw) -> Program:
    rng = draw.rng
    spec = draw.input((int(rng.integers(1, 4)), 10, 10))
    size = int(rng.choice((3, 3, 5)))
    first = _window(draw, 0, int(rng.integers(4, 9)), size, None)
    before = rng.random()
    number = draw.neurons(first.out_shape, pool=HALF if before < 0.3 else None)
    draw.join(0, number, first)
    if rng.random() < 0.3 and draw.populations[number].shape[1] >= 4:
        number = draw.gate(number, HALF)
    pool = HALF if rng.random() < 0.3 and draw.populations[number].shape[1] >= 8 else None
    second = _window(draw, number, int(rng.integers(4, 9)), 3, pool)
    post = draw.neurons(second.out_shape)
    draw.join(number, post, second, pool)
    if pool is None and draw.populations[number].shape == second.out_shape:
        draw.join(number, post, DiagonalSynapses())
    silent = bool(rng.random() < 0.5)
    last = draw.neurons((10,), silent=silent)
    halves = second.out_shape[1] >= 4 and rng.random() < 0.5
    draw.join(post, last, LinearSynapses(), HALF if halves else None)
    return draw.program(spec, Readout.MEMBRANE_SUM if silent else Readout.COUNT)


def _window(draw: _Draw, pre: int, channels: int, size: int, pool: Window | None) -> ConvSynapses:
    shape = draw.populations[pre].shape
    shape = window_output(shape, pool) if pool else (shape[0], shape[1], shape[2])
    side, pad = (size, size), (size // 2, size // 2)
    stride = (2, 2) if draw.rng.random() < 0.3 else (1, 1)
    blank = ConvSynapses(shape, (channels, 0, 0), side, stride, pad, (1, 1), 1)
    return ConvSynapses(shape, (channels, *conv_output(blank)), side, stride, pad, (1, 1), 1)

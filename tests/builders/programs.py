"""Programs for the tests of the runtime: seeded, small, and checked by whoever uses them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from runtime.encodings import encode
from runtime.geometry import conv_output, window_output
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
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


def neuron(**changes: object) -> IntegerNeuron:
    """A leaky neuron of 16 bits that resets by subtraction, with the named fields changed."""
    given: dict[str, object] = {
        "leak": Leak((3,)),
        "fire": Fire.BINARY,
        "reset": Reset.SUBTRACT,
        "width": StateWidth.INT16,
        "v_min": -(1 << 15),
        "v_max": (1 << 15) - 1,
        "frac_bits": 0,
        "threshold_q": (12,),
        "reset_q": (12,),
        "bias_q": (0,),
        "start_q": (0,),
    }
    return IntegerNeuron(**(given | changes))  # type: ignore[arg-type]


def silent(**changes: object) -> IntegerNeuron:
    """A readout integrator."""
    return neuron(fire=Fire.SILENT, reset=Reset.NONE, **changes)


def sparse_matrix(
    rng: np.random.Generator, shape: tuple[int, int], bits: int = 8, density: float = 0.3
) -> np.ndarray:
    """Weights (rows, columns) within ``bits`` bits, about this share of them not zero."""
    highest = min((1 << (bits - 1)) - 1, 7) if bits > 2 else 1
    matrix = rng.integers(-highest, highest + 1, shape)
    return (matrix * (rng.random(shape) < density)).astype(np.int32)


@dataclass
class Builder:
    """Collects populations and projections; ``program`` closes it."""

    rng: np.random.Generator
    spec: InputSpec
    bits: int = 8
    density: float = 0.4
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    matrices: list[tuple[np.ndarray, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.populations.append(InputPopulation("input", self.spec.shape))

    def neurons(self, shape: tuple[int, ...], model: IntegerNeuron | None = None) -> int:
        number = len(self.populations)
        self.populations.append(NeuronPopulation(f"p{number}", shape, model or neuron()))
        return number

    def pooled_neurons(
        self, current_shape: tuple[int, ...], window: Window, model: IntegerNeuron | None = None
    ) -> int:
        """A population that pools its currents."""
        number, shape = len(self.populations), window_output(current_shape, window)
        self.populations.append(
            NeuronPopulation(f"p{number}", shape, model or neuron(), window, current_shape)
        )
        return number

    def gate(self, source: int, window: Window) -> int:
        number = len(self.populations)
        shape = window_output(self.populations[source].shape, window)
        self.populations.append(GatePopulation(f"p{number}", shape, source, window))
        return number

    def linear(self, pre: int, post: int, encoding: str = "lists", **options: object) -> None:
        columns = _targets(self.populations[post])
        self._join(pre, post, LinearSynapses(), (_sources(self, pre, options), columns), encoding, options)

    def diagonal(self, pre: int, post: int, bits: int = 16, **options: object) -> None:
        channels = self.populations[post].shape[0]
        matrix = self.rng.integers(-9, 10, (1, channels)).astype(np.int32)
        self._add(pre, post, DiagonalSynapses(), (matrix, "diagonal", bits), options)

    def conv(
        self,
        pre: int,
        channels: int,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        pool: Window | None = None,
    ) -> ConvSynapses:
        """The synapses of a convolution from ``pre``; ``convolve`` adds it."""
        shape = self.populations[pre].shape
        in_shape = window_output(shape, pool) if pool else (shape[0], shape[1], shape[2])
        open_ended = ConvSynapses(in_shape, (channels, 0, 0), kernel, stride, padding, dilation, groups)
        out_shape = (channels, *conv_output(open_ended))
        return ConvSynapses(in_shape, out_shape, kernel, stride, padding, dilation, groups)

    def convolve(
        self, pre: int, post: int, synapses: ConvSynapses, encoding: str = "lists", **options: object
    ) -> None:
        columns = synapses.out_shape[0] // synapses.groups * math.prod(synapses.kernel)
        self._join(pre, post, synapses, (synapses.in_shape[0], columns), encoding, options)

    def program(self, readout: Readout = Readout.COUNT, **options: object) -> Program:
        tables = tuple(encode(matrix, name, bits) for matrix, name, bits in self.matrices)
        output = len(self.populations) - 1
        return Program(
            self.spec,
            tuple(self.populations),
            tuple(self.projections),
            tables,
            output,
            readout,
            **options,  # type: ignore[arg-type]
        )

    def _join(self, pre, post, synapses, shape, encoding, options) -> None:  # type: ignore[no-untyped-def]
        matrix = sparse_matrix(self.rng, shape, self.bits, self.density)
        self._add(pre, post, synapses, (matrix, encoding, self.bits), options)

    def _add(self, pre: int, post: int, synapses: Synapses, table, options) -> None:  # type: ignore[no-untyped-def]
        number = len(self.projections)
        self.matrices.append(table)
        self.projections.append(
            Projection(f"s{number}", pre, post, synapses, len(self.matrices) - 1, **options)
        )


def _targets(population: Population) -> int:
    if isinstance(population, NeuronPopulation) and population.current_shape:
        return math.prod(population.current_shape)
    return n_neurons(population)


def _sources(builder: Builder, pre: int, options: dict[str, object]) -> int:
    pool = options.get("pool")
    population = builder.populations[pre]
    return (
        math.prod(window_output(population.shape, pool))
        if isinstance(pool, Window)
        else n_neurons(population)
    )


def events(shape: tuple[int, ...], n_steps: int = 6, bits: int = 1) -> InputSpec:
    return InputSpec(shape, Coding.EVENTS, n_steps, bits=bits)


def mlp(
    sizes: tuple[int, ...] = (6, 8, 4),
    *,
    encoding: str = "lists",
    bits: int = 8,
    density: float = 0.4,
    seed: int = 0,
    spec: InputSpec | None = None,
    readout: Readout = Readout.COUNT,
) -> Program:
    """A feed-forward network of linear projections."""
    build = Builder(np.random.default_rng(seed), spec or events((sizes[0],)), bits, density)
    for size in sizes[1:]:
        post = build.neurons((size,))
        build.linear(post - 1, post, encoding)
    return build.program(readout)


def random_input(program: Program, samples: int = 3, seed: int = 0, density: float = 0.5) -> np.ndarray:
    """Coded input (steps, samples, *shape) of the program's width, about this share of it not zero."""
    rng, spec = np.random.default_rng(seed), program.input
    shape = (1 if spec.constant else spec.n_steps, samples, *spec.shape)
    highest = (1 << spec.bits) - 1
    values = rng.integers(-highest if spec.signed else 0, highest + 1, shape)
    if spec.bits == 1 and not spec.signed:
        values = np.ones(shape, np.int64)
    coded = (values * (rng.random(shape) < density)).astype(np.int32)
    return np.broadcast_to(coded, (spec.n_steps, *coded.shape[1:]))

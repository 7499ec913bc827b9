"""What the C code of one layer needs to know where the schedule goes row by row (``exporter.row_plan``)."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.row_plan import Rows, rows_of
from exporter.targets.c_arithmetic import Arithmetic
from exporter.targets.c_neurons import Neurons
from exporter.targets.c_synapses import Synapse
from runtime.program import ConvSynapses, Program

MOST_UNROLLED = 32
"""Outputs of a tap that are added one after the other without a loop."""


@dataclass(frozen=True)
class Taps:
    """How a window's taps are added to a row of its output. ``first`` is the place under the first column."""

    side: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    direct: bool
    """Whether a tap's weights are read where they lie; else a whole row of the table is walked."""
    unrolled: bool
    paired: bool
    """Whether a word holds the sums, and another the weights, of two outputs (``c_pairs``)."""
    channel: str
    """C expression: where a channel's weights begin, in bytes of the stream, in weights or in words."""
    word: str
    """C expression: where the words of a tap begin, of weights in pairs."""
    top: str
    """C expression: where row ``y`` of the source begins, in bytes or in values of one channel."""
    tap: str
    """C expression: the first tap of row ``ky`` of the kernel."""
    down: str
    """C expression: the first row of the padded source under row ``row`` of the outputs."""

    @property
    def first(self) -> tuple[int, int]:
        """(tap, output) of column 0 of the source."""
        return self.padding[1] % self.stride[1], self.padding[1] // self.stride[1]


@dataclass(frozen=True)
class Layer:
    """One population and the synapses into it. ``source``: the rows it hears; None: the input frame."""

    neurons: Neurons
    rows: Rows
    synapse: Synapse
    source: Rows | None
    taps: Taps | None
    once: bool
    out_row: str
    """C expression: where row ``row`` of what is fired begins."""
    out_step: str
    in_step: str
    place_of_x: str
    """C expression: where the place of column ``x`` lies in a row."""
    first_neuron: str

    @property
    def number(self) -> int:
        return self.neurons.number


def layers_of(
    program: Program,
    neurons: tuple[Neurons, ...],
    synapses: tuple[Synapse, ...],
    paired: frozenset[int],
    arithmetic: Arithmetic,
) -> tuple[Layer, ...]:
    """Every layer, in running order; the projections ``paired`` add two outputs at once."""
    into = {synapse.post: synapse for synapse in synapses}
    return tuple(_layer(program, one, into[one.number], paired, arithmetic) for one in neurons)


def _layer(
    program: Program, neurons: Neurons, synapse: Synapse, paired: frozenset[int], arithmetic: Arithmetic
) -> Layer:
    rows = rows_of(program, neurons.number)
    source = rows_of(program, synapse.pre) if synapse.pre else None
    return Layer(
        neurons=neurons,
        rows=rows,
        synapse=synapse,
        source=source,
        taps=_taps(program, synapse, source, synapse.number in paired, arithmetic),
        once=synapse.once,
        out_row=arithmetic.times("row", rows.width * rows.place_bytes),
        out_step=arithmetic.times("step", rows.step_bytes),
        in_step=arithmetic.times("step", source.step_bytes) if source else "0u",
        place_of_x=arithmetic.times("x", rows.place_bytes),
        first_neuron=arithmetic.times("row", rows.width),
    )


def _taps(
    program: Program, synapse: Synapse, source: Rows | None, paired: bool, arithmetic: Arithmetic
) -> Taps | None:
    conv = program.projections[synapse.number].synapses
    if not isinstance(conv, ConvSynapses):
        return None
    table = synapse.table
    direct = table.encoding == "dense"
    stride = table.columns // 2 if paired else (table.columns * table.bits + 7) // 8
    half = conv.out_shape[0] // 2
    width = conv.in_shape[2]
    return Taps(
        side=conv.in_shape,
        kernel=conv.kernel,
        stride=conv.stride,
        padding=conv.padding,
        direct=direct,
        unrolled=(half if paired else conv.out_shape[0]) <= MOST_UNROLLED,
        paired=paired,
        channel=arithmetic.times("c", stride) if direct else "",
        word=arithmetic.times("(tap + kx)", half) if paired else "",
        top=arithmetic.times("y", width * source.place_bytes if source else width),
        tap=arithmetic.times("ky", conv.kernel[1]),
        down=arithmetic.times("row", conv.stride[0]),
    )

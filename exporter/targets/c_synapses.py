"""What the C code of one projection needs to know: where its events come from, which rows and targets they
reach, and how a row of its table is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.plan import Order, PlanOptions, Queues, payload_bits
from exporter.targets.c_arithmetic import Arithmetic
from exporter.targets.c_arrays import is_empty
from exporter.targets.c_memory import Member, Memory, Role
from runtime.bounds import largest_total
from runtime.encodings.blocks import per_tap
from runtime.encodings.codebook import index_bits
from runtime.encodings.streams import NIBBLE, ROW
from runtime.encodings.words import word_bits
from runtime.errors import UnsupportedError
from runtime.geometry import window_output
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    EncodedMatrix,
    LinearSynapses,
    NeuronPopulation,
    Program,
    Projection,
    Window,
    n_neurons,
)

MOST_LENGTH_BITS = 24
"""Widest length of a row that the bit reader of 32 bits holds beside a byte."""
MOST_PLAIN_BITS, MOST_DIGIT_BITS = 4, 15
"""Payloads of so few bits are added bit by bit; so many still carry in 16 bits."""
STREAMS = ("rice", "nibbles", "codebook", "huffman")


@dataclass(frozen=True)
class Source:
    """Where events wait: a list, bit planes, those of every step (trains), or a frame of direct input."""

    kind: str
    member: Member
    neurons: int
    bits: int
    signed: bool
    back: int
    """Bytes before the newest slot, for a delay."""
    dropped: int = 0
    """Lowest bits of a frame's values that the network does not see."""

    @property
    def graded(self) -> bool:
        return self.bits > 1 or self.signed


@dataclass(frozen=True)
class Grid:
    """A window that slides over a map: where its taps land, as C expressions over ``q``."""

    height: int
    width: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    by_stride: tuple[str, str]
    times_stride: tuple[str, str]
    times_width: str

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    @property
    def area(self) -> int:
        return self.out_height * self.out_width

    @property
    def c_type(self) -> str:
        """A type for a place in the output map, or -1."""
        return "int16_t" if self.area <= 1 << 15 else "int32_t"


@dataclass(frozen=True)
class Split:
    """C expressions that take an index over (channels, height, width) apart."""

    channel: str
    rest: str
    y: str
    x: str


@dataclass(frozen=True)
class Pooling:
    """Sum pooling by address: the window of a cell, its corner, and the flat number of the window."""

    kernel: tuple[int, int]
    out: tuple[int, int]
    by_stride: tuple[str, str]
    times_stride: tuple[str, str]
    flat: str


@dataclass(frozen=True)
class Table:
    """How one row is read. ``tool`` holds the C expressions that the encoding needs, by name."""

    number: int
    encoding: str
    bits: int
    columns: int
    tool: dict[str, str]
    size: dict[str, int]


@dataclass(frozen=True)
class Synapse:
    """One projection. ``left`` shifts every weight, ``rounding`` the sum (to the right) before it joins."""

    number: int
    name: str
    pre: int
    post: int
    kind: str
    source: Source
    table: Table
    left: int
    rounding: int
    once: bool
    empty: bool
    split: Split | None
    pooling: Pooling | None
    grid: Grid | None
    group: str
    """First output of a channel's group (convolutions)."""
    entry: str
    """Column of an event in a diagonal."""
    roomy: bool = False
    """Whether sums have a bit to spare on the way: every partial one stays below 2^31 times a half."""

    @property
    def once_read(self) -> bool:
        """Whether a row is read once an event and each weight added for every bit of the payload, because
        reading costs more than adding; else the row is read once a bit."""
        return self.source.graded and self.table.encoding in STREAMS

    @property
    def digits(self) -> bool:
        """Whether a payload is added by signed digits: fewer rows where it has long runs of ones, for which
        the sums need room."""
        wide = MOST_PLAIN_BITS < self.source.bits <= MOST_DIGIT_BITS
        return self.roomy and wide and not self.once_read and self.kind != "diagonal"

    @property
    def short(self) -> bool:
        """Whether 16 bits hold every shifted weight."""
        most = self.left + self.source.bits - (not self.digits)
        return self.table.bits + self.source.signed + most <= 16

    @property
    def shifted(self) -> bool:
        """Whether a row is added with a shift."""
        return not self.once_read and (self.source.graded or self.left > 0)


def synapse_of(
    program: Program, number: int, memory: Memory, options: PlanOptions, arithmetic: Arithmetic
) -> Synapse:
    projection = program.projections[number]
    table = program.tables[projection.table]
    if is_empty(table):
        arithmetic = Arithmetic(arithmetic.prefix)  # nothing of it is written, so neither are its helpers
    left, rounding = _shifts(program, projection)
    shape = _seen_shape(program, projection)
    kinds = {LinearSynapses: "linear", ConvSynapses: "conv", DiagonalSynapses: "diagonal"}
    conv = projection.synapses if isinstance(projection.synapses, ConvSynapses) else None
    by_rows = options.order is Order.ROWS
    area = math.prod(conv.out_shape[2 if by_rows else 1 :]) if conv else 1
    return Synapse(
        number=number,
        name=projection.name,
        pre=projection.pre,
        post=projection.post,
        kind=kinds[type(projection.synapses)],
        source=source_of(program, projection.pre, memory, options.queues, projection.delay),
        table=_table(projection, table, arithmetic, area),
        left=left,
        rounding=rounding,
        once=is_once(program, projection),
        empty=is_empty(table),
        split=split_of(shape, arithmetic) if projection.pool or (conv and not by_rows) else None,
        pooling=_pooling(shape, projection.pool, arithmetic) if projection.pool else None,
        grid=_conv_grid(conv, arithmetic, by_rows) if conv else None,
        group=_group(conv, table, area, arithmetic) if conv else "",
        entry=_entry(program, projection, table, arithmetic),
        roomy=largest_total(program, projection.post) < 1 << 30,
    )


def currents_of(program: Program, number: int) -> int:
    """Cells over which a population's currents are summed: those before its pool, if it has one."""
    population = program.populations[number]
    assert isinstance(population, NeuronPopulation)
    return math.prod(population.current_shape or population.shape)


def is_once(program: Program, projection: Projection) -> bool:
    """Whether a projection carries a constant input: its current is summed once a sample."""
    return program.input.constant and projection.pre == 0


def common_shift(program: Program, post: int) -> int:
    """The shift left to the neurons: of a single projection its own, else what all shift to the left."""
    into = [p for p in program.projections if p.post == post]
    if len(into) == 1:
        return into[0].shift
    if any(is_once(program, p) for p in into):
        return 0
    return max(min((p.shift for p in into), default=0), 0)


def source_of(program: Program, number: int, memory: Memory, queues: Queues, delay: int = 0) -> Source:
    """The events that population ``number`` gave ``delay`` steps ago."""
    population = program.populations[number]
    frame = memory.find(number, Role.FRAMES)
    trains = memory.find(number, Role.TRAINS)
    member = frame or trains or memory.get(number, Role.EVENTS)
    kind = "frame" if frame else "trains" if trains else "list" if queues is Queues.LISTS else "planes"
    signed = frame is not None and program.input.signed
    back = 0 if is_constant_frame(program, number) else delay * member.slot_bytes
    dropped = program.input.sample_shift if frame is not None else 0
    return Source(
        kind, member, n_neurons(population), payload_bits(program, population), signed, back, dropped
    )


def is_constant_frame(program: Program, number: int) -> bool:
    return number == 0 and program.input.constant


def split_of(shape: tuple[int, int, int], arithmetic: Arithmetic) -> Split:
    channels, height, width = shape
    n = channels * height * width
    return Split(
        arithmetic.by("at", height * width, n),
        arithmetic.times("c", height * width),
        arithmetic.by("rest", width, height * width),
        arithmetic.times("y", width),
    )


def window_grid(shape: tuple[int, ...], window: Window, arithmetic: Arithmetic) -> Grid:
    """The grid of a pooling window over (channels, height, width)."""
    _, out_height, out_width = window_output(shape, window)
    out = (out_height, out_width)
    return _grid((shape[1], shape[2]), out, window, (1, 1), arithmetic)


def _conv_grid(conv: ConvSynapses, arithmetic: Arithmetic, by_rows: bool) -> Grid:
    """The grid of a convolution; of one row of its output where the schedule goes by rows."""
    window = Window(conv.kernel, conv.stride, conv.padding)
    side = (conv.in_shape[1], conv.in_shape[2])
    out = (1 if by_rows else conv.out_shape[1], conv.out_shape[2])
    return _grid(side, out, window, conv.dilation, Arithmetic("") if by_rows else arithmetic)


def _grid(
    side: tuple[int, int],
    out: tuple[int, int],
    window: Window,
    dilation: tuple[int, int],
    arithmetic: Arithmetic,
) -> Grid:
    limits = [size + pad for size, pad in zip(side, window.padding, strict=True)]
    return Grid(
        side[0],
        side[1],
        out[0],
        out[1],
        window.kernel,
        window.padding,
        dilation,
        (arithmetic.by("p", window.stride[0], limits[0]), arithmetic.by("p", window.stride[1], limits[1])),
        (arithmetic.times("q", window.stride[0]), arithmetic.times("q", window.stride[1])),
        arithmetic.times("q", out[1]),
    )


def _seen_shape(program: Program, projection: Projection) -> tuple[int, int, int]:
    """(channels, height, width) of the source, as a convolution or a pool sees it."""
    if isinstance(projection.synapses, ConvSynapses) and projection.pool is None:
        return projection.synapses.in_shape
    shape = program.populations[projection.pre].shape
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (math.prod(shape), 1, 1)


def _pooling(shape: tuple[int, int, int], pool: Window, arithmetic: Arithmetic) -> Pooling:
    _, height, width = window_output(shape, pool)
    return Pooling(
        pool.kernel,
        (height, width),
        (arithmetic.by("y", pool.stride[0], shape[1]), arithmetic.by("x", pool.stride[1], shape[2])),
        (arithmetic.times("py", pool.stride[0]), arithmetic.times("px", pool.stride[1])),
        f"{arithmetic.times('c', height * width)} + {arithmetic.times('py', width)} + px",
    )


def _group(conv: ConvSynapses, table: EncodedMatrix, area: int, arithmetic: Arithmetic) -> str:
    if conv.groups == 1:
        return "0u"
    each = conv.in_shape[0] // conv.groups
    span = table.columns // math.prod(conv.kernel) * area
    inner = arithmetic.by("c", each, conv.in_shape[0])
    if inner == "0u":
        return "0u"
    return arithmetic.times(inner, span)


def _entry(program: Program, p: Projection, table: EncodedMatrix, arithmetic: Arithmetic) -> str:
    n = currents_of(program, p.post)
    if isinstance(p.synapses, DiagonalSynapses) and table.columns != n:
        return arithmetic.by("column", n // table.columns, n)
    return "column"


def _shifts(program: Program, projection: Projection) -> tuple[int, int]:
    """(left shift of every weight, right shift of the sum) that the neurons' common shift leaves over."""
    common = common_shift(program, projection.post)
    own = projection.shift - common if projection.shift >= 0 or common < 0 else projection.shift
    return max(own, 0), max(-own, 0)


def _table(p: Projection, table: EncodedMatrix, arithmetic: Arithmetic, area: int) -> Table:
    tool: dict[str, str] = {}
    size: dict[str, int] = {}
    if table.encoding == "dense":
        tool["row"] = arithmetic.times("row", (table.columns * table.bits + 7) // 8)
    elif table.encoding == "bitmap":
        tool["row"] = arithmetic.times("row", (table.columns + 7) // 8)
    elif table.encoding == "packed":
        size["word"] = word_bits(table.columns, table.bits)
    elif table.encoding == "records":
        size["record"] = 2 if table.columns <= 1 << 8 else 3 if table.columns <= 1 << 16 else 5
        tool["first"] = arithmetic.times("first", size["record"])
        tool["last"] = arithmetic.times("last", size["record"])
    elif table.encoding.startswith("blocks"):
        _blocks(p, table, arithmetic, tool, size, area)
    elif table.encoding in STREAMS and not is_empty(table):
        _stream(p, table, arithmetic, tool, size)
    if table.bits == 3:
        tool["item"] = arithmetic.times("item", 3)
    return Table(p.table, table.encoding, table.bits, table.columns, tool, size)


def _blocks(
    p: Projection,
    table: EncodedMatrix,
    arithmetic: Arithmetic,
    tool: dict[str, str],
    size: dict[str, int],
    area: int,
) -> None:
    block, taps = int(table.encoding.removeprefix("blocks")), int(table.arrays["taps"][0])
    outputs = table.columns // taps
    each = per_tap(table.columns, taps, block)
    size |= {"block": block, "outputs": outputs, "taps": taps, "each": each}
    if not isinstance(p.synapses, ConvSynapses):
        return
    kernel = math.prod(p.synapses.kernel)
    if taps not in (1, kernel):
        raise UnsupportedError(
            f"{p.name}: found blocks along {taps} kernel cells, expected all {kernel} or no knowledge of them"
        )
    if taps != kernel:
        return
    tool["tap"] = arithmetic.by("block", each, each * taps)
    tool["inside"] = arithmetic.times("tap", each)
    tool["plane"] = arithmetic.times("output", area)


def _stream(
    p: Projection, table: EncodedMatrix, arithmetic: Arithmetic, tool: dict[str, str], size: dict[str, int]
) -> None:
    mode, width = (int(value) for value in table.arrays["coding"])
    if width > MOST_LENGTH_BITS:
        raise UnsupportedError(
            f"{p.name}: found rows of more than 2^{MOST_LENGTH_BITS} bytes, expected shorter ones"
        )
    symbols = table.arrays["symbols"].size if "symbols" in table.arrays else 0
    size |= {"mode": mode, "width": width, "row_mode": ROW, "nibble": NIBBLE, "symbols": symbols}
    size["weight"] = index_bits(symbols) if table.encoding == "codebook" else table.bits
    size["counts"] = table.arrays["counts"].size if table.encoding == "huffman" else 0
    tool["lengths"] = arithmetic.times("group", 2 * width)

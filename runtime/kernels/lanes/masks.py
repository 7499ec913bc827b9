"""Spikes as masks: read from the input, transposed, moved under kernel cells, pooled, tallied, listed."""

from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from runtime.kernels.lanes.memory import (
    I64,
    OPTIONS,
    U8,
    base,
    ir,
    load,
    loop,
    move_4,
    move_8,
    move_16,
    move_32,
    read_i32,
    store,
    tools,
    vector,
    word,
)
from runtime.kernels.lanes.ops import (
    CHUNKS,
    FROM,
    FROM_MAP,
    FROM_NEXT,
    FROM_STEP,
    HIST,
    LANES,
    MAPS,
    ROWS,
    SIZE,
    STEPS,
    TAP_TABLE,
    TAPS,
    TIMES,
    TO,
    TO_MAP,
    TO_NEXT,
    TO_STEP,
)

TILE = 16


def _read(bits: int) -> Callable[..., Any]:
    def typed(_context: Any, frames: Any, at: Any, memory: Any, to: Any) -> tuple[Any, Callable[..., Any]]:
        """Sixteen inputs to masks; returns whether any is neither 0 nor 1."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            frames = base(context, builder, signature.args[0], arguments[0])
            memory = base(context, builder, signature.args[2], arguments[2])
            kind = vector(bits, TILE)
            value = load(builder, frames, arguments[1], kind)
            there = builder.icmp_unsigned("!=", value, ir.Constant(kind, None))
            store(builder, memory, arguments[3], builder.sext(there, vector(8, TILE)))
            beyond = builder.icmp_unsigned(">", value, ir.Constant(kind, [1] * TILE))
            return builder.zext(builder.bitcast(beyond, ir.IntType(TILE)), word)

        i64 = types.int64
        return types.int64(frames, i64, memory, i64), generate

    return typed


def _read_one(bits: int) -> Callable[..., Any]:
    def typed(_context: Any, frames: Any, at: Any, memory: Any, to: Any) -> tuple[Any, Callable[..., Any]]:
        """One input to a mask; returns it."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            frames = base(context, builder, signature.args[0], arguments[0])
            memory = base(context, builder, signature.args[2], arguments[2])
            value = load(builder, frames, arguments[1], ir.IntType(bits))
            there = builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))
            store(builder, memory, arguments[3], builder.sext(there, ir.IntType(8)))
            return builder.zext(builder.icmp_unsigned(">", value, ir.Constant(value.type, 1)), word)

        i64 = types.int64
        return types.int64(frames, i64, memory, i64), generate

    return typed


def _turn(bits: int, side: int) -> Callable[..., Any]:
    def typed(
        _context: Any, memory: Any, at: Any, step: Any, to: Any, to_step: Any
    ) -> tuple[Any, Callable[..., Any]]:
        """A square of ``side`` x ``side`` elements transposed."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            memory = base(context, builder, signature.args[0], arguments[0])
            _, at, step, to, to_step = arguments
            kind, half = vector(bits, side), side // 2
            rows = []
            for _ in range(side):
                rows.append(load(builder, memory, at, kind))
                at = builder.add(at, step)
            pick = [
                ir.Constant(vector(32, side), [k // 2 + first + side * (k % 2) for k in range(side)])
                for first in (0, half)
            ]
            for _ in range(side.bit_length() - 1):
                pairs = [(rows[k], rows[k + half]) for k in range(half)]
                rows = [builder.shuffle_vector(a, b, order) for a, b in pairs for order in pick]
            for row in rows:
                store(builder, memory, to, row)
                to = builder.add(to, to_step)
            return context.get_dummy_value()

        i64 = types.int64
        return types.void(memory, i64, i64, i64, i64), generate

    return typed


def _and(lanes: int) -> Callable[..., Any]:
    def typed(_context: Any, memory: Any, to: Any, at: Any, border: Any) -> tuple[Any, Callable[..., Any]]:
        """Masks where the border lets them."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            memory = base(context, builder, signature.args[0], arguments[0])
            one, other = (load(builder, memory, arguments[k], vector(8, lanes)) for k in (2, 3))
            store(builder, memory, arguments[1], builder.and_(one, other))
            return context.get_dummy_value()

        i64 = types.int64
        return types.void(memory, i64, i64, i64), generate

    return typed


def _tally(
    _context: Any, memory: Any, steps: Any, at: Any, step: Any, to: Any
) -> tuple[Any, Callable[..., Any]]:
    """Spikes of 32 neurons over all steps."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        _, steps, at, step, to = arguments
        kind = vector(8, 32)
        total = tools.alloca_once_value(builder, ir.Constant(kind, None))
        place = tools.alloca_once_value(builder, at)
        with loop(builder, steps):
            here = builder.load(place)
            builder.store(builder.sub(builder.load(total), load(builder, memory, here, kind)), total)
            builder.store(builder.add(here, step), place)
        store(builder, memory, to, builder.load(total))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(memory, i64, i64, i64, i64), generate


_read_8: Any = intrinsic(_read(8))
_read_32: Any = intrinsic(_read(32))
_one_8: Any = intrinsic(_read_one(8))
_one_32: Any = intrinsic(_read_one(32))
_turn_1: Any = intrinsic(_turn(8, 16))
_turn_2: Any = intrinsic(_turn(16, 8))
_and_16: Any = intrinsic(_and(16))
_and_32: Any = intrinsic(_and(32))
_and_64: Any = intrinsic(_and(64))
_and_128: Any = intrinsic(_and(128))
_tally_32: Any = intrinsic(_tally)


@njit(**OPTIONS)
def read_inputs(op: I64, item: int, frames: U8, memory: U8) -> int:
    """The input's masks; not 0 when any input is neither 0 nor 1. ``item``: bytes of an input, 1 or 4."""
    size = op[CHUNKS]
    whole = size - size % TILE
    shift = 2 if item == 4 else 0
    at, bad = 0, 0
    row = op[TO]
    for _ in range(op[STEPS]):
        to = row
        for _ in range(op[MAPS]):
            for k in range(0, whole, TILE):
                if item == 4:
                    bad |= _read_32(frames, at + (k << 2), memory, to + k)
                else:
                    bad |= _read_8(frames, at + k, memory, to + k)
            for k in range(whole, size):
                if item == 4:
                    bad |= _one_32(frames, at + (k << 2), memory, to + k)
                else:
                    bad |= _one_8(frames, at + k, memory, to + k)
            at += size << shift
            to += op[TO_MAP]
        row += op[TO_STEP]
    return bad


@njit(**OPTIONS)
def tally(op: I64, memory: U8) -> None:
    """How often each neuron spiked."""
    to, first = op[HIST], op[FROM]
    for _ in range(op[MAPS]):
        at = first
        for _ in range(op[CHUNKS]):
            _tally_32(memory, op[STEPS], at, op[FROM_STEP], to)
            at += 32
            to += 32
        first += op[FROM_MAP]


@njit(**OPTIONS)
def _turn_tiles(op: I64, memory: U8, first: int, to_first: int, tile: int) -> None:
    """Elements of one or two bytes, ``tile`` rows and columns at a time."""
    size = op[SIZE]
    across, to_across = (16, op[TO_STEP] << 4) if tile == 16 else (16, op[TO_STEP] << 3)
    down, to_down = (op[FROM_STEP] << 4, 16) if tile == 16 else (op[FROM_STEP] << 3, 16)
    for _ in range(0, op[STEPS], tile):
        at, to = first, to_first
        for _ in range(0, op[MAPS], tile):
            if size == 1:
                _turn_1(memory, at, op[FROM_STEP], to, op[TO_STEP])
            else:
                _turn_2(memory, at, op[FROM_STEP], to, op[TO_STEP])
            at += across
            to += to_across
        first += down
        to_first += to_down


@njit(**OPTIONS)
def turn(op: I64, memory: U8) -> None:
    """Matrices of ``STEPS`` rows and ``MAPS`` columns transposed."""
    size = op[SIZE]
    first, to_first = op[FROM], op[TO]
    for _ in range(op[TIMES]):
        if size <= 2:
            _turn_tiles(op, memory, first, to_first, 16 if size == 1 else 8)
        else:
            row, to_row = first, to_first
            for _ in range(op[STEPS]):
                at, to = row, to_row
                for _ in range(op[MAPS]):
                    if size == 4:
                        move_4(memory, to, at)
                    elif size == 8:
                        move_8(memory, to, at)
                    elif size == 16:
                        move_16(memory, to, at)
                    else:
                        move_32(memory, to, at)
                    at += size
                    to += op[TO_STEP]
                row += op[FROM_STEP]
                to_row += size
        first += op[FROM_NEXT]
        to_first += op[TO_NEXT]


@njit(**OPTIONS)
def see_through(op: I64, memory: U8, here: int) -> None:
    """A block of lanes of every map, from lane ``here`` on, as each kernel cell sees it, cell by cell.

    A cell's entry in the table: how many bytes on its masks lie, and where its border mask is (int32).
    """
    lanes = op[LANES]
    to, entry = op[ROWS], op[TAP_TABLE]
    for _ in range(op[TAPS]):
        at = op[FROM] + read_i32(memory, entry) + here
        border = read_i32(memory, entry + 4) + here
        for _ in range(op[MAPS]):
            if lanes == 128:
                _and_128(memory, to, at, border)
            elif lanes == 64:
                _and_64(memory, to, at, border)
            elif lanes == 32:
                _and_32(memory, to, at, border)
            else:
                _and_16(memory, to, at, border)
            to += lanes
            at += op[FROM_MAP]
        entry += 8

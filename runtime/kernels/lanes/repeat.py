"""A population that hears its own spikes: step by step, weight rows of its spikes summed in registers."""

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
    move_32,
    store,
    tools,
    vector,
    word,
)
from runtime.kernels.lanes.neurons import fire_once, mark
from runtime.kernels.lanes.ops import (
    CHUNKS,
    DELAY,
    EVENTS,
    FROM,
    FROM_STEP,
    GROUP,
    HIST,
    PARAMS,
    PARAMS_CHUNK,
    ROW,
    SEEN,
    SEEN_STEP,
    STATE,
    STEPS,
    TAIL,
    TO,
    TO_STEP,
    WEIGHT_ROWS,
    WIDTH,
)

WIDE = 32
BESIDE = 64


def _word_mask(_context: Any, memory: Any, at: Any) -> Any:
    """Bit i: whether mask i of 32 is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        value = load(builder, memory, arguments[1], vector(8, WIDE))
        fired = builder.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return builder.zext(builder.bitcast(fired, ir.IntType(WIDE)), word)

    return types.int64(memory, types.int64), generate


def _lowest(_context: Any, mask: Any) -> Any:
    """Number of the lowest set bit of what is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], tools.true_bit)

    return types.int64(mask), generate


def _put_i32(_context: Any, memory: Any, at: Any, value: Any) -> Any:
    """Write 32 bits at an offset."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        store(builder, memory, arguments[1], builder.trunc(arguments[2], ir.IntType(32)))
        return context.get_dummy_value()

    return types.void(memory, types.int64, types.int64), generate


def _clear(_context: Any, memory: Any, at: Any) -> Any:
    """Write 32 zeros."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        store(builder, memory, arguments[1], ir.Constant(vector(8, WIDE), None))
        return context.get_dummy_value()

    return types.void(memory, types.int64), generate


def _add_rows(_context: Any, memory: Any, events: Any, count: Any, group: Any, rows: Any, to: Any) -> Any:
    """``count`` weight rows (each event, int32, says where its row lies from ``rows`` on) to 64 int16 sums;
    ``group`` rows together cannot leave int8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        _, events, count, group, rows, to = arguments
        wide, small = vector(16, BESIDE), vector(8, BESIDE)
        none, one = ir.Constant(small, None), ir.Constant(word, 1)
        total = tools.alloca_once_value(builder, load(builder, memory, to, wide))
        part = tools.alloca_once_value(builder, none)
        left = tools.alloca_once_value(builder, count)
        entry = tools.alloca_once_value(builder, events)
        more = builder.append_basic_block("more")
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, ir.Constant(word, 0)), more, done)
        builder.position_at_end(more)
        ahead = builder.load(left)
        size = builder.select(builder.icmp_signed("<", ahead, group), ahead, group)
        with loop(builder, size):
            at = builder.load(entry)
            place = builder.sext(load(builder, memory, at, ir.IntType(32)), word)
            row = load(builder, memory, builder.add(rows, place), small)
            builder.store(builder.add(builder.load(part), row), part)
            builder.store(builder.add(at, ir.Constant(word, 4)), entry)
        builder.store(builder.add(builder.load(total), builder.sext(builder.load(part), wide)), total)
        builder.store(none, part)
        rest = builder.sub(ahead, size)
        builder.store(rest, left)
        builder.cbranch(builder.icmp_signed(">=", rest, one), more, done)
        builder.position_at_end(done)
        store(builder, memory, to, builder.load(total))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(memory, i64, i64, i64, i64, i64), generate


_bits: Any = intrinsic(_word_mask)
_lowest_bit: Any = intrinsic(_lowest)
_put: Any = intrinsic(_put_i32)
_clear_32: Any = intrinsic(_clear)
_sum_rows: Any = intrinsic(_add_rows)


@njit(**OPTIONS)
def _list_rows(op: I64, memory: U8, at: int, neurons: int) -> int:
    """Where the weight rows of a step's spikes lie; returns how many spikes there are."""
    found = op[EVENTS]
    row = op[ROW]
    start = 0
    for first in range(0, neurons, WIDE):
        mask = _bits(memory, at + first)
        while mask != 0:
            _put(memory, found, start + (_lowest_bit(mask) << row))
            found += 4
            mask &= mask - 1
        start += WIDE << row
    return int((found - op[EVENTS]) >> 2)


@njit(**OPTIONS)
def _begin(op: I64, memory: U8, lanes: int) -> None:
    """Membranes at their start, no spikes counted."""
    fixed, state, hist = op[PARAMS], op[STATE], op[HIST]
    for chunk in range(op[CHUNKS]):
        if chunk == op[CHUNKS] - 1:
            fixed = op[PARAMS] + op[TAIL]
        move_32(memory, state, fixed + 192)
        move_32(memory, state + 32, fixed + 224)
        state += 64
        fixed += op[PARAMS_CHUNK]
    if lanes == 16:
        for _ in range(0, op[CHUNKS], 2):
            _clear_32(memory, hist)
            hist += 32
    else:
        for _ in range(op[CHUNKS]):
            _clear_32(memory, hist)
            hist += 32


@njit(**OPTIONS)
def repeat(op: I64, memory: U8) -> None:
    """All steps of a population that hears itself, ``DELAY`` steps late."""
    lanes = 16 if op[WIDTH] == 32 else 32
    neurons = op[CHUNKS] << (4 if lanes == 16 else 5)
    _begin(op, memory, lanes)
    noted = 0
    heard, sums, to, seen = op[TO], op[FROM], op[TO], op[SEEN]
    for step in range(op[STEPS]):
        if step >= op[DELAY]:
            spikes = _list_rows(op, memory, heard, neurons)
            for first in range(0, neurons, BESIDE):
                _sum_rows(memory, op[EVENTS], spikes, op[GROUP], op[WEIGHT_ROWS] + first, sums + (first << 1))
            heard += op[TO_STEP]
        noted += fire_once(op, memory, sums, to, seen)
        sums += op[FROM_STEP]
        to += op[TO_STEP]
        if seen >= 0:
            seen += op[SEEN_STEP]
    mark(op, memory, noted)

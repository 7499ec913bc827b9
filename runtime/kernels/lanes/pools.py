"""Max pools of spikes: the OR of every window."""

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from runtime.kernels.lanes.memory import I64, OPTIONS, U8, base, ir, load, store, vector, word
from runtime.kernels.lanes.ops import (
    FROM,
    FROM_MAP,
    FROM_STEP,
    HEIGHT,
    HEIGHT_IN,
    KERNEL_X,
    KERNEL_Y,
    MAPS,
    PAD_X,
    PAD_Y,
    PITCH,
    STEPS,
    STRIDE_X,
    STRIDE_Y,
    TO,
    TO_MAP,
    TO_STEP,
    WIDTH_IN,
    WIDTH_OUT,
)

WIDE = 16


def _pair(_context: Any, memory: Any, to: Any, above: Any, below: Any) -> Any:
    """Sixteen windows of two by two, side by side, from where their two rows start."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        one, other = (load(builder, memory, arguments[k], vector(16, WIDE)) for k in (2, 3))
        both = builder.or_(one, other)
        eight = ir.Constant(vector(16, WIDE), [8] * WIDE)
        any_of = builder.or_(both, builder.lshr(both, eight))
        store(builder, memory, arguments[1], builder.trunc(any_of, vector(8, WIDE)))
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(memory, i64, i64, i64), generate


def _mask(_context: Any, memory: Any, at: Any) -> Any:
    """The mask at an offset."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        return builder.zext(load(builder, memory, arguments[1], ir.IntType(8)), word)

    return types.int64(memory, types.int64), generate


def _put(_context: Any, memory: Any, at: Any, value: Any) -> Any:
    """Write a mask at an offset."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        store(builder, memory, arguments[1], builder.trunc(arguments[2], ir.IntType(8)))
        return context.get_dummy_value()

    return types.void(memory, types.int64, types.int64), generate


_or_pairs: Any = intrinsic(_pair)
_read_mask: Any = intrinsic(_mask)
_put_mask: Any = intrinsic(_put)


@njit(**OPTIONS)
def _pool_pairs(op: I64, memory: U8, at: int, to: int) -> None:
    """Windows of two by two of a map. Each vector writes beyond its row; rows are written in order, and what
    lies behind the last is not a neuron."""
    pitch = op[PITCH]
    for _ in range(op[HEIGHT]):
        for x in range(0, op[WIDTH_OUT], WIDE):
            _or_pairs(memory, to + x, at + (x << 1), at + (x << 1) + pitch)
        at += pitch << 1
        to += op[WIDTH_OUT]


@njit(**OPTIONS)
def _pool_any(op: I64, memory: U8, at: int, to: int) -> None:
    """Windows of any size of a map."""
    top = -op[PAD_Y]
    for _ in range(op[HEIGHT]):
        left = -op[PAD_X]
        for _ in range(op[WIDTH_OUT]):
            found = 0
            row = at + op[PITCH] * top
            for y in range(top, top + op[KERNEL_Y]):
                for x in range(left, left + op[KERNEL_X]):
                    if 0 <= y < op[HEIGHT_IN] and 0 <= x < op[WIDTH_IN]:
                        found |= _read_mask(memory, row + x)
                row += op[PITCH]
            _put_mask(memory, to, found)
            to += 1
            left += op[STRIDE_X]
        top += op[STRIDE_Y]


@njit(**OPTIONS)
def pool(op: I64, memory: U8) -> None:
    """All maps of all steps."""
    pairs = op[KERNEL_Y] == 2 and op[KERNEL_X] == 2 and op[STRIDE_Y] == 2 and op[STRIDE_X] == 2
    pairs = pairs and op[PAD_Y] == 0 and op[PAD_X] == 0
    row, to_row = op[FROM], op[TO]
    for _ in range(op[STEPS]):
        at, to = row, to_row
        for _ in range(op[MAPS]):
            if pairs:
                _pool_pairs(op, memory, at, to)
            else:
                _pool_any(op, memory, at, to)
            at += op[FROM_MAP]
            to += op[TO_MAP]
        row += op[FROM_STEP]
        to_row += op[TO_STEP]

"""Vector instructions that numba has no expression for, written as LLVM. No vector is ever multiplied."""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime.kernels.fused.tables import LANES, WORD

tools: Any = cgutils
ir = tools.ir
"""LLVM's types, by way of numba: nothing else may be imported here."""


def _ashr(_context: Any, _x: Any, _k: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ashr(arguments[0], arguments[1])

    return types.int32(types.int32, types.int32), generate


def _shl(_context: Any, _x: Any, _k: Any) -> tuple[Any, Callable[..., Any]]:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.shl(arguments[0], arguments[1])

    return types.int32(types.int32, types.int32), generate


def _vector(builder: Any, array: Any, at: Any, element: int, lanes: int) -> tuple[Any, Any]:
    """Pointer to ``lanes`` elements of an array from ``at`` on, and their value; any alignment."""
    place = builder.gep(array.data, [at])
    pointer = builder.bitcast(place, ir.VectorType(ir.IntType(element), lanes).as_pointer())
    value = builder.load(pointer)
    value.align = element // 8
    return pointer, value


def _add_lanes(
    _context: Any, target: Any, at: Any, weights: Any, first: Any
) -> tuple[Any, Callable[..., Any]]:
    """``target[at : at + 16] += weights[first : first + 16]``, int32 and int8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into = context.make_array(signature.args[0])(context, builder, arguments[0])
        of = context.make_array(signature.args[2])(context, builder, arguments[2])
        pointer, before = _vector(builder, into, arguments[1], 32, LANES)
        _, narrow = _vector(builder, of, arguments[3], 8, LANES)
        wide = builder.sext(narrow, ir.VectorType(ir.IntType(32), LANES))
        stored = builder.store(builder.add(before, wide), pointer)
        stored.align = 4
        return context.get_dummy_value()

    return types.void(target, types.int64, weights, types.int64), generate


def _spike_mask(_context: Any, spikes: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Bit i: whether ``spikes[at + i]`` is set, of 32 bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, value = _vector(builder, array, arguments[1], 8, WORD)
        fired = builder.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return builder.bitcast(fired, ir.IntType(WORD))

    return types.uint32(spikes, types.int64), generate


def _input_mask(_context: Any, frame: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
    """Bit i: whether ``frame[at + i]`` is not 0, of 16 int32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, value = _vector(builder, array, arguments[1], 32, LANES)
        there = builder.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return builder.zext(builder.bitcast(there, ir.IntType(LANES)), ir.IntType(32))

    return types.uint32(frame, types.int64), generate


def _lowest(_context: Any, spike_mask: Any) -> tuple[Any, Callable[..., Any]]:
    """Number of the lowest set bit of a mask that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.cttz(arguments[0], tools.true_bit), ir.IntType(64))

    return types.int64(types.uint32), generate


def _sum_rows(vectors: int) -> Callable[..., tuple[Any, Callable[..., Any]]]:
    """Sums of ``vectors`` x 16 outputs side by side over weight rows; see ``typed``."""

    def typed(
        _context: Any, target: Any, at: Any, weights: Any, rows: Any, begin: Any, end: Any
    ) -> tuple[Any, Callable[..., Any]]:
        """``target[at + j] += weights[rows[k] + j]`` for k in ``begin..end``, at most 256 of them: sums
        of so many int8 fit int16, whose lanes are twice as many."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            of = [context.make_array(signature.args[k])(context, builder, arguments[k]) for k in (0, 2, 3)]
            into, weight, row = of
            word, wide = ir.IntType(64), ir.VectorType(ir.IntType(32), LANES)
            half = ir.VectorType(ir.IntType(16), LANES)
            sums = [tools.alloca_once_value(builder, ir.Constant(half, None)) for _ in range(vectors)]
            _, at, _, _, begin, end = arguments
            with tools.for_range_slice(builder, begin, end, ir.Constant(word, 1), inc=True) as (k, _):
                first = builder.sext(builder.load(builder.gep(row.data, [k])), word)
                for j, held in enumerate(sums):
                    place = builder.add(first, ir.Constant(word, LANES * j))
                    _, narrow = _vector(builder, weight, place, 8, LANES)
                    builder.store(builder.add(builder.load(held), builder.sext(narrow, half)), held)
            for j, held in enumerate(sums):
                place = builder.add(at, ir.Constant(word, LANES * j))
                pointer, before = _vector(builder, into, place, 32, LANES)
                stored = builder.store(builder.add(before, builder.sext(builder.load(held), wide)), pointer)
                stored.align = 4
            return context.get_dummy_value()

        i64 = types.int64
        return types.void(target, i64, weights, rows, i64, i64), generate

    return typed


shift_right: Any = intrinsic(_ashr)
shift_left: Any = intrinsic(_shl)
add_lanes: Any = intrinsic(_add_lanes)
sum_128: Any = intrinsic(_sum_rows(8))
sum_64: Any = intrinsic(_sum_rows(4))
sum_32: Any = intrinsic(_sum_rows(2))
sum_16: Any = intrinsic(_sum_rows(1))
spike_mask: Any = intrinsic(_spike_mask)
input_mask: Any = intrinsic(_input_mask)
lowest_bit: Any = intrinsic(_lowest)

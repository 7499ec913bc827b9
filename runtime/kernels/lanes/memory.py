"""Loads and stores at byte offsets of one ``uint8`` array, and the pieces that vector kernels are built of.

Everything that a network keeps lies in one array (the arena), so that a call takes a handful of arguments.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

OPTIONS: dict[str, Any] = {"_nrt": False}
"""Of every part: without reference counts, which no kernel here needs."""
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

tools: Any = cgutils
ir = tools.ir
"""LLVM's types, by way of numba: nothing else may be imported here."""
word = ir.IntType(64)


def vector(bits: int, lanes: int) -> Any:
    return ir.VectorType(ir.IntType(bits), lanes)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with the scalar in every lane."""
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(vector(32, lanes), [0] * lanes)
    return builder.shuffle_vector(one, one, zeros)


def base(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Pointer to an array's first element."""
    return context.make_array(kind)(context, builder, array).data


def load(builder: Any, memory: Any, at: Any, kind: Any, align: int = 1) -> Any:
    """Value of an LLVM type at a byte offset."""
    value = builder.load(builder.bitcast(builder.gep(memory, [at]), kind.as_pointer()))
    value.align = align
    return value


def store(builder: Any, memory: Any, at: Any, value: Any, align: int = 1) -> None:
    place = builder.bitcast(builder.gep(memory, [at]), value.type.as_pointer())
    builder.store(value, place).align = align


@contextmanager
def loop(builder: Any, count: Any) -> Iterator[Any]:
    """Run the block ``count`` times; gives the number of the turn."""
    with tools.for_range(builder, count) as turn:
        yield turn.index


def _scalar(bits: int, *, signed: bool) -> Callable[..., Any]:
    def typed(_context: Any, memory: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            memory = base(context, builder, signature.args[0], arguments[0])
            value = load(builder, memory, arguments[1], ir.IntType(bits))
            if bits == 64:
                return value
            return builder.sext(value, word) if signed else builder.zext(value, word)

        return types.int64(memory, types.int64), generate

    return typed


def _put(_context: Any, memory: Any, at: Any, value: Any) -> tuple[Any, Callable[..., Any]]:
    """Write 64 bits at an offset."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        store(builder, memory, arguments[1], arguments[2])
        return context.get_dummy_value()

    return types.void(memory, types.int64, types.int64), generate


def _move(bits: int, lanes: int) -> Callable[..., Any]:
    def typed(_context: Any, memory: Any, to: Any, at: Any) -> tuple[Any, Callable[..., Any]]:
        """Copy so many bits; nothing is aligned."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            memory = base(context, builder, signature.args[0], arguments[0])
            kind = ir.IntType(bits) if lanes == 1 else vector(bits, lanes)
            store(builder, memory, arguments[1], load(builder, memory, arguments[2], kind))
            return context.get_dummy_value()

        return types.void(memory, types.int64, types.int64), generate

    return typed


read_u16: Any = intrinsic(_scalar(16, signed=False))
read_i32: Any = intrinsic(_scalar(32, signed=True))
put_i64: Any = intrinsic(_put)
move_4: Any = intrinsic(_move(32, 1))
move_8: Any = intrinsic(_move(64, 1))
move_16: Any = intrinsic(_move(8, 16))
move_32: Any = intrinsic(_move(8, 32))

"""Scores of the output from its spikes and membranes of every step."""

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from runtime.kernels.lanes.memory import I64, OPTIONS, U8, base, ir, load, put_i64, read_i32, word
from runtime.kernels.lanes.ops import (
    COUNT,
    COUNTED,
    FROM,
    FROM_STEP,
    LARGEST,
    MODE,
    SEEN,
    SEEN_STEP,
    STEPS,
    SUMMED,
    TO,
)


def _signed(_context: Any, memory: Any, at: Any) -> Any:
    """The mask at an offset, -1 or 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        memory = base(context, builder, signature.args[0], arguments[0])
        return builder.sext(load(builder, memory, arguments[1], ir.IntType(8)), word)

    return types.int64(memory, types.int64), generate


_fired: Any = intrinsic(_signed)


@njit(**OPTIONS)
def score(op: I64, memory: U8) -> None:
    """One score an output."""
    mode = op[MODE]
    for n in range(op[COUNT]):
        spikes, seen = op[FROM] + n, op[SEEN] + (n << 2)
        total = 0 if mode == COUNTED else read_i32(memory, seen)
        if mode == COUNTED:
            for _ in range(op[STEPS]):
                total -= _fired(memory, spikes)
                spikes += op[FROM_STEP]
        else:
            for _ in range(1, op[STEPS]):
                seen += op[SEEN_STEP]
                value = read_i32(memory, seen)
                if mode == SUMMED:
                    total += value
                elif mode == LARGEST:
                    total = max(total, value)
                else:
                    total = value
        put_i64(memory, op[TO] + (n << 3), total)

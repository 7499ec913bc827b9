"""The one compiled call: a whole sample of a whole network, and its cache."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from numba import njit

from runtime.kernels.lanes.masked import sum_masked
from runtime.kernels.lanes.masks import read_inputs, see_through, tally, turn
from runtime.kernels.lanes.memory import I64, OPTIONS, U8
from runtime.kernels.lanes.neurons import fire_all
from runtime.kernels.lanes.ops import (
    BLOCKS,
    FIRE,
    GATHER,
    KIND,
    LANES,
    POOL,
    READ,
    REPEAT,
    TALLY,
    TAPS,
    TURN,
)
from runtime.kernels.lanes.pools import pool
from runtime.kernels.lanes.repeat import repeat
from runtime.kernels.lanes.scores import score

Run = Callable[..., int]
DIGEST_BYTES = 7


def digest() -> int:
    """A number that changes with any file of this folder."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    text = b"".join(file.read_bytes() for file in files)
    return int.from_bytes(sha256(text).digest()[:DIGEST_BYTES], "big")


@njit(**OPTIONS)
def gather(op: I64, memory: U8) -> None:
    """A projection's sums, block by block of lanes."""
    here = 0
    for _ in range(op[BLOCKS]):
        if op[TAPS] > 0:
            see_through(op, memory, here)
        sum_masked(op, memory, here)
        here += op[LANES]


@cache
def compiled() -> Run:
    """The kernel, cached under a digest of all its sources; see ``kernels/fused/driver.py``."""
    sources = digest()

    @njit(cache=True, **OPTIONS)
    def run(ops: I64, memory: U8, item: int, frames: U8) -> int:
        """Run one sample of ``frames``, ``item`` bytes an input: its sources' ``digest()``, or 0 where an
        input is neither 0 nor 1."""
        found = sources
        for number in range(len(ops)):
            op = ops[number]
            kind = op[KIND]
            if kind == GATHER:
                gather(op, memory)
            elif kind == FIRE:
                fire_all(op, memory)
            elif kind == TURN:
                turn(op, memory)
            elif kind == TALLY:
                tally(op, memory)
            elif kind == POOL:
                pool(op, memory)
            elif kind == READ:
                if read_inputs(op, item, frames, memory) != 0:
                    found = 0
            elif kind == REPEAT:
                repeat(op, memory)
            else:
                score(op, memory)
        return found

    kernel: Run = run
    return kernel

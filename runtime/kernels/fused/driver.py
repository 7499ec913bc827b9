"""The one compiled call: a block of steps of a whole network, and its cache."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit

from runtime.kernels.fused.listing import list_inputs
from runtime.kernels.fused.steps import advance
from runtime.kernels.fused.tables import I32, OPTIONS, PLANES

Run = Callable[..., int]
DIGEST_BYTES = 7


def digest() -> int:
    """A number that changes with any file of this folder."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    text = b"".join(file.read_bytes() for file in files)
    return int.from_bytes(sha256(text).digest()[:DIGEST_BYTES], "big")


@cache
def compiled() -> Run:
    """The kernel. Numba keeps machine code under the bytes of what a function closes over, so code made from
    other sources is never found: not after an edit, nor after an upgrade that keeps times and lengths."""
    sources = digest()

    @njit(cache=True, **OPTIONS)
    def run(
        layered: bool,
        net: Any,
        state: Any,
        sorting: Any,
        coded: I32,
        rank: I32,
        begin: int,
        counts: Any,
        seen: Any,
    ) -> int:
        """Run steps ``begin`` up to ``begin + len(coded)`` of one sample; returns its sources' ``digest()``.

        ``layered``: all steps of a population run before the next one starts. ``net``: units, flows, gates,
        lists, how, tables, parameters, cells, fans; see ``runtime/fused/plan.py``. ``state``: acc, v, rest,
        spikes, index, value, found, kept from block to block. ``coded`` (steps, inputs), ``rank`` (inputs)
        where each stands in its map's order. ``counts``: of flows and of populations. ``seen``: payloads and
        membranes (steps, outputs) of the output, in the order of its unit.
        """
        steps = len(coded)
        units = net[0]
        list_inputs(coded, rank, begin, net[3], state)
        stretch = steps if layered else 1
        for first in range(0, steps, stretch):
            for number in range(len(units)):
                together = min(stretch, units[number, PLANES])
                for step in range(first, first + stretch, together):
                    count = min(together, steps - step)
                    advance(units[number], net, state, sorting, begin, step, count, counts, seen)
        return sources

    kernel: Run = run
    return kernel

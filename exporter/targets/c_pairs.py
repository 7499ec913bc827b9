"""Two sums of 16 bits in one word: which convolutions add so, and how their weights are stored for it.

Outputs 2j and 2j + 1 share a word, ``low + (high << 16)`` modulo 2^32. A sum of such words is the word of
the sums, whatever happens on the way, as long as both final sums fit 16 bits: proved here from the weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.bounds import largest_payloads
from runtime.encodings import decode
from runtime.program import ConvSynapses, EncodedMatrix, Program, Projection

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1


def is_paired(program: Program, projection: Projection, left: int) -> bool:
    """Whether a projection, alone into its population, may add its ``left``-shifted weights in pairs."""
    conv, table = projection.synapses, program.tables[projection.table]
    if not isinstance(conv, ConvSynapses) or conv.groups != 1 or conv.out_shape[0] % 2:
        return False
    whole = table.encoding == "dense" and table.bits <= 8
    alone = sum(p.table == projection.table for p in program.projections) == 1
    signed = projection.pre == 0 and program.input.signed
    return whole and alone and not signed and _fits(program, projection, table, left)


def _fits(program: Program, projection: Projection, table: EncodedMatrix, left: int) -> bool:
    """Whether no input brings a final sum out of 16 bits."""
    taps = math.prod(_conv(projection).kernel)
    weights = decode(table).astype(np.int64).reshape(table.rows, -1, taps)
    most = largest_payloads(program)[projection.pre] << left
    high = weights.clip(min=0).sum(axis=(0, 2)) * most
    low = weights.clip(max=0).sum(axis=(0, 2)) * most
    return bool(low.min() >= LOWEST and high.max() <= HIGHEST)


def words(program: Program, projection: Projection) -> NDArray[np.uint32]:
    """The table as words: channel by channel, tap by tap, a word for two outputs."""
    table = program.tables[projection.table]
    weights = decode(table).reshape(table.rows, -1, math.prod(_conv(projection).kernel))
    joined = weights[:, 0::2] + (weights[:, 1::2].astype(np.int64) << 16)
    return (joined & 0xFFFFFFFF).astype("<u4").swapaxes(1, 2).ravel()


def _conv(projection: Projection) -> ConvSynapses:
    assert isinstance(projection.synapses, ConvSynapses)
    return projection.synapses

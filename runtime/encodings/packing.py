"""Two's complement integers in a little-endian bit stream: item k fills bits ``[k * bits, (k + 1) * bits)``.

Bit j of the stream is bit ``j % 8`` of byte ``j // 8``. A stream of n items takes ``ceil(n * bits / 8)``
bytes; the unused high bits of its last byte are zero. Eight- and sixteen-bit items are thus plain
little-endian integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError

WEIGHT_BITS = frozenset({2, 3, 4, 8})
DIAGONAL_BITS = WEIGHT_BITS | {16}


def packed_bytes(count: int, bits: int) -> int:
    """Length of a stream of ``count`` items."""
    return (count * bits + 7) // 8


def pack(values: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """The stream of ``values`` (n,); a value that does not fit ``bits`` is a ModelError."""
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if values.size and (values.min() < lowest or values.max() > highest):
        raise ModelError(
            f"weights of {bits} bits: found values in {values.min()}..{values.max()}, "
            f"expected {lowest}..{highest}"
        )
    if bits == 8:
        return values.astype(np.int8).view(np.uint8)
    field = values.astype(np.int64) & ((1 << bits) - 1)
    stream = (field[:, None] >> np.arange(bits)) & 1
    return np.packbits(stream.astype(np.uint8).ravel(), bitorder="little")


def pack_rows(matrix: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """Streams of the rows of ``matrix`` (rows, columns), each starting on a byte: (rows, row bytes)."""
    rows, columns = matrix.shape
    per_byte = 8 // np.gcd(8, bits)
    padded = np.zeros((rows, -(-columns // per_byte) * per_byte), np.int32)
    padded[:, :columns] = matrix
    stream = pack(padded.ravel(), bits).reshape(rows, -1)
    return np.ascontiguousarray(stream[:, : packed_bytes(columns, bits)])


def unpack(stream: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.int32]:
    """The first ``count`` items of a stream as (count,) integers."""
    if bits == 8:
        return stream[:count].view(np.int8).astype(np.int32)
    fields = np.unpackbits(stream, count=count * bits, bitorder="little").reshape(count, bits)
    value = np.zeros(count, np.int32)
    for bit in range(bits):
        value |= fields[:, bit].astype(np.int32) << bit
    sign = np.int32(1 << (bits - 1))
    return (value ^ sign) - sign


def padding_is_zero(stream: NDArray[np.uint8], count: int, bits: int) -> bool:
    """Whether the bits behind the last item of a stream are zero, so that equal tables have equal bytes."""
    used = (count * bits) % 8
    return used == 0 or int(stream[-1]) >> used == 0

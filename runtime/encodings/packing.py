"""Integers in a little-endian bit stream: item k fills bits ``[k * bits, (k + 1) * bits)``.

Bit j of the stream is bit ``j % 8`` of byte ``j // 8``. A stream of n items takes ``ceil(n * bits / 8)``
bytes; the unused high bits of its last byte are zero. Items are two's complement, so that eight- and
sixteen-bit items are plain little-endian integers; an item of one bit is a sign: 0 is +1, 1 is -1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError

WEIGHT_BITS = frozenset({1, 2, 3, 4, 8})
DIAGONAL_BITS = WEIGHT_BITS - {1} | {16}


def packed_bytes(count: int, bits: int) -> int:
    """Length of a stream of ``count`` items."""
    return (count * bits + 7) // 8


def fields(values: NDArray[np.int32], bits: int) -> NDArray[np.int64]:
    """The ``bits`` bits of each value as an unsigned number; a value that does not fit is a ModelError."""
    lowest, highest = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    if values.size and (values.min() < lowest or values.max() > highest):
        raise ModelError(
            f"weights of {bits} bits: found values in {values.min()}..{values.max()}, "
            f"expected {lowest}..{highest}"
        )
    if bits == 1:
        if not values.all():
            raise ModelError("weights of 1 bit: found zeros, expected +1 or -1 only")
        return (values < 0).astype(np.int64)
    return values.astype(np.int64) & ((1 << bits) - 1)


def pack(values: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """The stream of ``values`` (n,); a value that does not fit ``bits`` is a ModelError."""
    return pack_fields(fields(values, bits), bits)


def pack_fields(unsigned: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """The stream of unsigned numbers below ``2 ** bits`` (n,)."""
    if bits == 8:
        return unsigned.astype(np.uint8)
    stream = (unsigned[:, None] >> np.arange(bits)) & 1
    return np.packbits(stream.astype(np.uint8).ravel(), bitorder="little")


def pack_rows(matrix: NDArray[np.int32], bits: int) -> NDArray[np.uint8]:
    """Streams of the rows of ``matrix`` (rows, columns), each starting on a byte: (rows, row bytes)."""
    rows, columns = matrix.shape
    per_byte = 8 // np.gcd(8, bits)
    padded = np.zeros((rows, -(-columns // per_byte) * per_byte), np.int64)
    padded[:, :columns] = fields(matrix, bits)
    stream = pack_fields(padded.ravel(), bits).reshape(rows, -1)
    return np.ascontiguousarray(stream[:, : packed_bytes(columns, bits)])


def unpack_fields(stream: NDArray[np.uint8], count: int, bits: int, first: int = 0) -> NDArray[np.int32]:
    """``count`` items of a stream from item ``first`` on as (count,) unsigned numbers."""
    start, until = first * bits, (first + count) * bits
    bit = np.unpackbits(stream[start >> 3 : (until + 7) >> 3], bitorder="little")
    return _numbers(bit[start & 7 :][: count * bits].reshape(count, bits))


def _numbers(bit: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Numbers (...,) of their bits (..., bits), the lowest first."""
    value = np.zeros(bit.shape[:-1], np.int32)
    for place in range(bit.shape[-1]):
        value |= bit[..., place].astype(np.int32) << place
    return value


def unpack(stream: NDArray[np.uint8], count: int, bits: int, first: int = 0) -> NDArray[np.int32]:
    """``count`` items of a stream from item ``first`` on as (count,) integers."""
    if bits == 8:
        return stream[first : first + count].view(np.int8).astype(np.int32)
    return _signed(unpack_fields(stream, count, bits, first), bits)


def unpack_rows(streams: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.int32]:
    """The first ``count`` items of every stream (rows, bytes) as (rows, count) integers."""
    if bits == 8:
        return streams[:, :count].view(np.int8).astype(np.int32)
    bit = np.unpackbits(streams, axis=1, count=count * bits, bitorder="little")
    return _signed(_numbers(bit.reshape(len(streams), count, bits)), bits)


def _signed(value: NDArray[np.int32], bits: int) -> NDArray[np.int32]:
    """Fields of ``bits`` bits as the integers they stand for."""
    if bits == 1:
        return 1 - (value << 1)
    sign = np.int32(1 << (bits - 1))
    return (value ^ sign) - sign


def padding_is_zero(stream: NDArray[np.uint8], count: int, bits: int) -> bool:
    """Whether the bits behind the last item of a stream are zero, so that equal tables have equal bytes."""
    used = (count * bits) % 8
    return used == 0 or int(stream[-1]) >> used == 0


def place(words: NDArray[np.int64], at: NDArray[np.int64], n_bytes: int) -> NDArray[np.uint8]:
    """A stream of ``n_bytes`` with every word of up to 32 bits at its bit; words rise and do not overlap."""
    spread = words.astype(np.uint64) << (at & 31).astype(np.uint64)
    slot = at >> 5
    out = np.zeros(-(-n_bytes // 4) + 1, "<u4")
    if words.size:
        first = np.flatnonzero(np.diff(slot, prepend=-1))
        out[slot[first]] = np.bitwise_or.reduceat(spread & np.uint64(0xFFFFFFFF), first)
        out[slot[first] + 1] |= np.bitwise_or.reduceat(spread >> np.uint64(32), first).astype(np.uint32)
    return out.view(np.uint8)[:n_bytes].copy()

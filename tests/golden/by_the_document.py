"""A second reader of ``.spk`` tables, written from ``docs/format.md`` alone: no import of ours, no numpy.

It trusts its file. Slow, and only here: what it and the runtime agree on is what the document says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

Matrix = list[list[int]]
Numbers = list[int]


class Bits:
    """A bit stream: bit j is bit ``j mod 8`` of byte ``j div 8``."""

    def __init__(self, data: bytes, at: int = 0, until: int | None = None) -> None:
        self.data, self.at = data, at
        self.until = 8 * len(data) if until is None else until

    @property
    def left(self) -> int:
        return self.until - self.at

    def bit(self) -> int:
        found = self.data[self.at // 8] >> (self.at % 8) & 1
        self.at += 1
        return found

    def number(self, bits: int) -> int:
        return sum(self.bit() << place for place in range(bits))

    def weight(self, bits: int) -> int:
        return signed(self.number(bits), bits)


def signed(field: int, bits: int) -> int:
    """Two's complement of ``bits`` bits; one bit is a sign."""
    if bits == 1:
        return 1 - 2 * field
    return field - (1 << bits) if field >> (bits - 1) else field


def matrices(file: bytes) -> list[Matrix]:
    """Every table of a file as rows of weights."""
    length = int.from_bytes(file[12:16], "little")
    manifest, at, found = json.loads(file[56 : 56 + length]), 56 + length, []
    for entry in manifest["tables"]:
        arrays: dict[str, tuple[str, bytes]] = {}
        for name in ORDER[entry["encoding"]]:
            kind, items = entry["arrays"][name]
            size = items * int(kind[1])
            arrays[name] = kind, file[at : at + size]
            at += size
        found.append(table(entry, arrays))
    return found


STREAM = ("coding", "anchors", "lengths", "stream")
ORDER = {
    "dense": ("weights",),
    "diagonal": ("weights",),
    "lists": ("pointers", "indices", "weights"),
    "gaps": ("pointers", "codes", "weights"),
    "bitmap": ("pointers", "bitmap", "weights"),
    "packed": ("pointers", "words"),
    "records": ("pointers", "records"),
    "signs": ("pointers", "indices"),
    **{f"blocks{size}": ("taps", "pointers", "indices", "weights") for size in (4, 8, 16)},
    "rice": STREAM,
    "nibbles": STREAM,
    "codebook": ("symbols", *STREAM),
    "huffman": ("counts", "symbols", *STREAM),
    "archive": ("items", "flat", "coded"),
}


def table(entry: dict[str, object], arrays: dict[str, tuple[str, bytes]]) -> Matrix:
    """One table from its entry in the manifest and its sections."""
    name, rows, columns, bits = (entry[key] for key in ("encoding", "rows", "columns", "bits"))
    assert isinstance(name, str)
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    assert isinstance(bits, int)
    matrix = [[0] * columns for _ in range(rows)]
    raw = {part: data for part, (_, data) in arrays.items()}
    ints = {part: integers(kind, data) for part, (kind, data) in arrays.items()}
    if name in ("dense", "diagonal"):
        dense(matrix, raw["weights"], bits)
    elif name == "archive":
        archive(matrix, ints["items"][0], ints["flat"][0], raw["coded"], bits)
    elif "stream" in raw:
        stream(matrix, name, ints, raw, bits)
    else:
        listed(matrix, name, ints, raw, bits)
    return matrix


def integers(kind: str, data: bytes) -> Numbers:
    size = int(kind[1])
    return [
        int.from_bytes(data[at : at + size], "little", signed=kind[0] == "i")
        for at in range(0, len(data), size)
    ]


def dense(matrix: Matrix, weights: bytes, bits: int) -> None:
    row_bytes = (len(matrix[0]) * bits + 7) // 8
    for number, row in enumerate(matrix):
        bit = Bits(weights[number * row_bytes :])
        row[:] = [bit.weight(bits) for _ in row]


def listed(matrix: Matrix, name: str, ints: dict[str, Numbers], raw: dict[str, bytes], bits: int) -> None:
    """Tables with pointers and an index or a code an item."""
    pointers, weights = ints["pointers"], Bits(raw.get("weights", b""))
    for number, row in enumerate(matrix):
        items = range(pointers[number], pointers[number + 1])
        match name:
            case "signs":
                signs(row, ints["indices"], pointers[2 * number : 2 * number + 3])
            case "bitmap":
                bitmap(row, Bits(raw["bitmap"], 8 * number * ((len(row) + 7) // 8)), weights, bits)
            case "gaps":
                gaps(row, [ints["codes"][item] for item in items], weights, bits)
            case "blocks4" | "blocks8" | "blocks16":
                blocks(row, int(name.removeprefix("blocks")), ints, items, weights, bits)
            case _:
                for column, weight in pairs(name, len(row), items, ints, raw, weights, bits):
                    row[column] = weight


def signs(row: Numbers, indices: Numbers, ends: Numbers) -> None:
    for sign, first, until in ((1, ends[0], ends[1]), (-1, ends[1], ends[2])):
        for column in indices[first:until]:
            row[column] = sign


def bitmap(row: Numbers, mask: Bits, weights: Bits, bits: int) -> None:
    for column in range(len(row)):
        if mask.bit():
            row[column] = weights.weight(bits)


def gaps(row: Numbers, codes: Numbers, weights: Bits, bits: int) -> None:
    column = 0
    for code in codes:
        column, weight = column + code, weights.weight(bits)
        if code < 255:
            row[column] = weight
            column += 1


def pairs(
    name: str,
    columns: int,
    items: range,
    ints: dict[str, Numbers],
    raw: dict[str, bytes],
    weights: Bits,
    bits: int,
) -> Iterator[tuple[int, int]]:
    """Column and weight of every item of ``lists``, ``packed`` and ``records``."""
    size = 1 if columns <= 256 else 2 if columns <= 65536 else 4
    shift = (16 if (columns - 1).bit_length() + bits <= 16 else 32) - bits
    for item in items:
        if name == "lists":
            yield ints["indices"][item], weights.weight(bits)
        elif name == "packed":
            word = ints["words"][item]
            yield word & ((1 << shift) - 1), signed(word >> shift, bits)
        else:
            record = raw["records"][item * (size + 1) : (item + 1) * (size + 1)]
            yield int.from_bytes(record[:size], "little"), signed(record[size], 8)


def blocks(row: Numbers, size: int, ints: dict[str, Numbers], items: range, weights: Bits, bits: int) -> None:
    taps = ints["taps"][0]
    outputs = len(row) // taps
    each = -(-outputs // size)
    for item in items:
        cell, group = divmod(ints["indices"][item], each)
        for output in range(group * size, (group + 1) * size):
            weight = weights.weight(bits)
            if output < outputs:
                row[output * taps + cell] = weight


def stream(matrix: Matrix, name: str, ints: dict[str, Numbers], raw: dict[str, bytes], bits: int) -> None:
    mode, width = ints["coding"]
    lengths = Bits(raw["lengths"])
    sizes = [lengths.number(width) for _ in matrix]
    for number, row in enumerate(matrix):
        first = number - number % 16
        start = ints["anchors"][number // 16] + sum(sizes[first:number])
        bit = Bits(raw["stream"], 8 * start, 8 * (start + sizes[number]))
        k = bit.number(4) if mode == 16 and bit.left else mode
        column = -1
        while (gap := nibble_gap(bit, bits) if mode == 17 else rice_gap(bit, k)) is not None:
            column += gap + 1
            row[column] = weight_of(name, bit, ints, bits)


def rice_gap(bit: Bits, k: int) -> int | None:
    quotient = 0
    while bit.left:
        if bit.bit():
            return (quotient << k) + bit.number(k)
        quotient += 1
    return None


def nibble_gap(bit: Bits, bits: int) -> int | None:
    skipped = 0
    while bit.left >= 4 + bits:
        code = bit.number(4)
        if code < 15:
            return skipped + code
        skipped += 15
    return None


def weight_of(name: str, bit: Bits, ints: dict[str, Numbers], bits: int) -> int:
    symbols = ints.get("symbols", [])
    if name == "codebook":
        return symbols[bit.number((len(symbols) - 1).bit_length())]
    if name != "huffman":
        return bit.weight(bits)
    code, first, index = 0, 0, 0
    for count in ints["counts"]:
        code = code << 1 | bit.bit()
        first <<= 1
        if code - first < count:
            return symbols[index + code - first]
        index, first = index + count, first + count
    return symbols[0]


class Coder:
    """The archive's range decoder and its models."""

    def __init__(self, coded: bytes) -> None:
        self.coded, self.at = coded, 4
        self.code, self.range = int.from_bytes(coded[:4], "big"), 0xFFFFFFFF
        self.models: dict[int, list[int]] = {}

    def decision(self, model: int | None) -> int:
        p, n = (32768, 0) if model is None else self.models.setdefault(model, [32768, 0])
        bound = (self.range >> 16) * p
        bit = int(self.code >= bound)
        if bit:
            self.code, self.range = self.code - bound, self.range - bound
        else:
            self.range = bound
        if model is not None:
            aim = 48 if bit else 65488
            self.models[model] = [p + 2 * (aim - p) // (2 * n + 3), min(n + 1, 254)]
        while self.range < 1 << 24:
            self.range, self.code = self.range << 8, self.code << 8 | self.coded[self.at]
            self.at += 1
        return bit


def archive(matrix: Matrix, items: int, flat: int, coded: bytes, bits: int) -> None:
    coder, cell, before, columns = Coder(coded), -1, 0, len(matrix[0])
    for _ in range(items):
        size = 0
        while size < 48 and coder.decision(64 * min(before, 15) + size):
            size += 1
        before, number = size, 1
        for place in range(size):
            number = number << 1 | coder.decision(1024 + 8 * size + number if place < 3 else None)
        node = 1
        for _ in range(bits):
            node = node << 1 | coder.decision(None if flat else 1536 + node)
        cell += number
        matrix[cell // columns][cell % columns] = signed(node - (1 << bits), bits)
    assert coder.at == len(coded)

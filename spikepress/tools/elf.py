"""Reads what is needed of a linked 32-bit little-endian ELF file: segments, sections, symbols."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import FormatError

LOAD = 1
SYMBOLS, NO_BITS = 2, 8
ALLOCATED, WRITABLE = 2, 1
FUNCTION = 2


@dataclass(frozen=True)
class Segment:
    """Bytes to load: ``physical`` is where they lie in flash, ``virtual`` where they run."""

    virtual: int
    physical: int
    data: bytes
    memory_bytes: int


@dataclass(frozen=True)
class Section:
    name: str
    address: int
    bytes: int
    stored: bool
    """Whether the file holds its bytes; ``.bss`` has none."""
    writable: bool


@dataclass(frozen=True)
class Symbol:
    address: int
    bytes: int
    is_function: bool


@dataclass(frozen=True)
class Image:
    """A linked image. ``sections`` are those that take memory on the device."""

    entry: int
    segments: tuple[Segment, ...]
    sections: Mapping[str, Section]
    symbols: Mapping[str, Symbol]

    @property
    def flash_bytes(self) -> int:
        """What the image stores: code, constants, and the start values of variables."""
        return sum(section.bytes for section in self.sections.values() if section.stored)

    @property
    def static_ram_bytes(self) -> int:
        """Variables, with and without start values."""
        return sum(section.bytes for section in self.sections.values() if section.writable)


def read(path: str | Path) -> Image:
    """The image in a file; FormatError where it is no ELF of 32-bit little-endian code."""
    raw = Path(path).read_bytes()
    if raw[:6] != b"\x7fELF\x01\x01":
        raise FormatError(f"{path}: found {raw[:6]!r}, expected a 32-bit little-endian ELF file")
    try:
        return _read(raw)
    except (struct.error, IndexError, ValueError) as error:
        raise FormatError(f"{path}: found {error}, expected a sound ELF file") from error


def _read(raw: bytes) -> Image:
    (entry, segments, sections, _, _, segment_size, segment_count, section_size, section_count, names) = (
        struct.unpack_from("<IIIIHHHHHH", raw, 24)
    )
    loads = []
    for number in range(segment_count):
        kind, offset, virtual, physical, size, memory, *_ = struct.unpack_from(
            "<IIIIIIII", raw, segments + number * segment_size
        )
        if kind == LOAD and memory:
            loads.append(Segment(virtual, physical, raw[offset : offset + size], memory))
    heads = [struct.unpack_from("<10I", raw, sections + n * section_size) for n in range(section_count)]
    text = heads[names][4]
    found = {}
    for name, kind, flags, address, _, size, *_ in heads:
        if flags & ALLOCATED and size:
            title = _string(raw, text + name)
            found[title] = Section(title, address, size, kind != NO_BITS, bool(flags & WRITABLE))
    return Image(entry, tuple(loads), found, _symbols(raw, heads))


def _symbols(raw: bytes, heads: list[tuple[int, ...]]) -> dict[str, Symbol]:
    found = {}
    for _, kind, _, _, offset, size, link, *_ in heads:
        if kind != SYMBOLS:
            continue
        text = heads[link][4]
        for at in range(offset, offset + size, 16):
            name, value, length, info = struct.unpack_from("<IIIB", raw, at)
            title = _string(raw, text + name)
            if title and not title.startswith("$"):
                found[title] = Symbol(value, length, info & 15 == FUNCTION)
    return found


def _string(raw: bytes, at: int) -> str:
    return raw[at : raw.index(b"\0", at)].decode("ascii", "replace")

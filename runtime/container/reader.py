"""Reads a ``.spk`` file and trusts nothing in it: lengths, checksum, manifest, arrays, then the program."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from runtime.check import check_program
from runtime.container.fields import parse
from runtime.container.layout import (
    FIXED_BYTES,
    MAGIC,
    MAX_FILE,
    MAX_MANIFEST,
    PREFIX,
    Prefix,
    digest,
)
from runtime.container.rebuild import Sections, rebuild
from runtime.errors import FormatError, ModelError
from runtime.program import Program


def from_bytes(data: bytes) -> Program:
    """The checked program of a file's bytes; ``FormatError`` says what is wrong and where."""
    prefix = _prefix(data)
    if prefix.version not in READERS:
        known = ", ".join(map(str, READERS))
        raise FormatError(f"version: found {prefix.version}, expected one of {known}")
    if prefix.file_length != len(data):
        raise FormatError(f"file: found {len(data)} bytes, expected the {prefix.file_length} it states")
    room = len(data) - FIXED_BYTES
    if prefix.manifest_length > min(room, MAX_MANIFEST):
        raise FormatError(
            f"manifest length: found {prefix.manifest_length}, expected at most {min(room, MAX_MANIFEST)}"
        )
    if digest(memoryview(data)) != prefix.digest:
        raise FormatError("checksum: found a file that does not match it, expected one undamaged")
    program = READERS[prefix.version](data, prefix)
    try:
        check_program(program)
    except ModelError as error:
        raise FormatError(f"program: {error}") from error
    return program


def read(path: str | os.PathLike[str]) -> Program:
    """The checked program of a file; ``FormatError`` names the file."""
    place = Path(path)
    try:
        with open(place, "rb") as file:
            # no more than there is: a read sets aside all that it is asked for
            data = file.read(min(os.fstat(file.fileno()).st_size, MAX_FILE) + 1)
    except OSError as error:
        raise FormatError(f"{place}: cannot be read ({error.strerror}), expected a .spk file") from error
    try:
        return from_bytes(data)
    except FormatError as error:
        raise FormatError(f"{place}: {error}") from error


def file_header_bytes(data: bytes) -> int:
    """Length of the container header of a file's bytes: what is not a section."""
    return FIXED_BYTES + _prefix(data).manifest_length


def _prefix(data: bytes) -> Prefix:
    if len(data) > MAX_FILE:
        raise FormatError(f"file: found more than {MAX_FILE} bytes, expected at most that")
    if len(data) < FIXED_BYTES:
        raise FormatError(f"file: found {len(data)} bytes, expected at least {FIXED_BYTES}")
    magic, version, reserved, manifest_length, file_length = PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise FormatError(f"magic: found {magic.hex(' ')}, expected {MAGIC.hex(' ')}")
    if reserved != 0:
        raise FormatError(f"reserved bytes: found {reserved}, expected 0")
    return Prefix(version, manifest_length, file_length, data[PREFIX.size : FIXED_BYTES])


def _version_1(data: bytes, prefix: Prefix) -> Program:
    end = FIXED_BYTES + prefix.manifest_length
    return rebuild(parse(data[FIXED_BYTES:end]), Sections(memoryview(data), end))


READERS: dict[int, Callable[[bytes, Prefix], Program]] = {1: _version_1}
"""One reader per version. Older ones upgrade what they read to today's ``Program``."""

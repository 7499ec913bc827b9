"""Writes a program as a ``.spk`` file: the same bytes for the same program, and never half a file."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import numpy as np

from runtime.check import check_program
from runtime.container.describe import describe, sections
from runtime.container.layout import FIXED_BYTES, MAGIC, MAX_FILE, MAX_MANIFEST, PREFIX, VERSION, digest
from runtime.container.reader import from_bytes
from runtime.errors import FormatError, ModelError, OutputError
from runtime.program import Program


def to_bytes(program: Program) -> bytes:
    """The file of a program, checked (``ModelError``) and known to read back."""
    check_program(program)
    manifest = _manifest(program)
    body = b"".join(_little_endian(array) for array in sections(program))
    length = FIXED_BYTES + len(manifest) + len(body)
    if length > MAX_FILE:
        raise ModelError(f"program: found {length} bytes to store, expected at most {MAX_FILE}")
    prefix = PREFIX.pack(MAGIC, VERSION, 0, len(manifest), length)
    data = prefix + digest(prefix + bytes(FIXED_BYTES - PREFIX.size) + manifest + body) + manifest + body
    try:
        from_bytes(data)
    except FormatError as error:
        raise ModelError(
            f"program: found what no file may hold ({error}), expected the format's limits"
        ) from error
    return data


def header_bytes(program: Program) -> int:
    """Bytes of a program's file that a device does not store: the fixed part and the manifest."""
    return FIXED_BYTES + len(_manifest(program))


def write(program: Program, path: str | os.PathLike[str]) -> int:
    """Write a program to ``path`` under a temporary name, then rename; returns the file's length.

    ``OutputError`` when the place cannot be written; what stood there before is then untouched.
    """
    data = to_bytes(program)
    place = Path(path)
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, place)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{place}: found a place that cannot be written ({reason}), expected a writable one"
        ) from error
    return len(data)


def _manifest(program: Program) -> bytes:
    """JSON without spaces, keys sorted: one form for one program."""
    text = json.dumps(describe(program), sort_keys=True, separators=(",", ":"), allow_nan=False)
    manifest = text.encode("ascii")
    if len(manifest) > MAX_MANIFEST:
        raise ModelError(
            f"program: found a manifest of {len(manifest)} bytes, expected at most {MAX_MANIFEST}"
        )
    return manifest


def _little_endian(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()

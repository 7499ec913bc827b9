"""Constants of the ``.spk`` container; ``docs/format.md`` says what they mean."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

MAGIC = b"\x89SPK\r\n\x1a\n"
VERSION = 1
PREFIX = struct.Struct("<8sHHIQ")
DIGEST_BYTES = 32
FIXED_BYTES = PREFIX.size + DIGEST_BYTES

MAX_FILE = 1 << 30
MAX_MANIFEST = 1 << 22
MAX_DEPTH = 8
MAX_DIGITS = 19
MAX_PARTS = 4096
MAX_CLASSES = 1 << 16
MAX_META = 1024
MAX_TEXT = 1 << 16
MAX_NAME = 256

TYPES = {"u1": "u1", "u2": "<u2", "u4": "<u4", "i1": "i1", "i2": "<i2", "i4": "<i4"}
"""Section types by the name a manifest gives them."""


@dataclass(frozen=True)
class Prefix:
    """The fixed first bytes of a file."""

    version: int
    manifest_length: int
    file_length: int
    digest: bytes


def digest(data: bytes | memoryview) -> bytes:
    """Checksum of a whole file: everything but the place of the checksum itself."""
    found = hashlib.sha256(data[: PREFIX.size])
    found.update(data[FIXED_BYTES:])
    return found.digest()

"""How tables of synapses are stored: encode, decode, and exact sizes."""

from runtime.encodings.registry import (
    CANDIDATES,
    ENCODINGS,
    check_table,
    decode,
    encode,
    nonzeros,
    parts,
    size,
    size_bytes,
    smallest,
)
from runtime.encodings.table import Encoding, Entries, Kind, Size

__all__ = [
    "CANDIDATES",
    "ENCODINGS",
    "Encoding",
    "Entries",
    "Kind",
    "Size",
    "check_table",
    "decode",
    "encode",
    "nonzeros",
    "parts",
    "size",
    "size_bytes",
    "smallest",
]

"""Files whose checksum is right whatever else is wrong: forged from parts, or mutated at random."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from runtime.container import to_bytes
from runtime.container.layout import FIXED_BYTES, MAGIC, PREFIX, digest
from runtime.encodings import ENCODINGS, decode, encode
from runtime.program import Program
from tests.builders.programs import mlp
from tests.builders.zoo import ZOO

CASES = ("linear", "conv", "recurrent", "residual")


def split(data):
    """A file's manifest as JSON values, and its sections."""
    length = PREFIX.unpack_from(data)[3]
    return json.loads(data[FIXED_BYTES : FIXED_BYTES + length]), data[FIXED_BYTES + length :]


def forged(manifest, body, *, version=1, reserved=0, file_length=None, manifest_length=None):
    """A file around these parts whose checksum is right whatever else is wrong."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    total = FIXED_BYTES + len(text) + len(body)
    lengths = (len(text) if manifest_length is None else manifest_length, file_length or total)
    prefix = PREFIX.pack(MAGIC, version, reserved, *lengths)
    blank = prefix + bytes(FIXED_BYTES - PREFIX.size) + text + body
    return prefix + digest(blank) + text + body


def mutate(dice, value):
    """A JSON value with one random change somewhere inside."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(sorted(value))
        return {**value, key: mutate(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.9:
        at = dice.randrange(len(value))
        return [*value[:at], mutate(dice, value[at]), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool) and dice.random() < 0.7:
        return value + dice.choice((-1, 1, 2, 7, -value, value, 1 << dice.randrange(63)))
    others = (None, True, 0, 1, -1, 2.5, 1 << 31, 1 << 62, "", "lists", "conv", [], {}, [1, 1], [["u1", 3]])
    return dice.choice(others)


def stored_as(program: Program, name: str, bits: int) -> Program:
    """``program`` with its tables, diagonals aside, in one encoding and width; weights clipped to it."""
    highest = max((1 << (bits - 1)) - 1, 1)

    def table(old):
        if old.encoding == "diagonal":
            return old
        kept = np.clip(decode(old), -highest, highest)
        matrix = np.sign(kept) if name == "signs" or bits == 1 else kept
        return encode(matrix.astype(np.int32), name, bits)

    return replace(program, tables=tuple(map(table, program.tables)))


def corpus(name: str) -> list[bytes]:
    """Sound files with tables in one encoding: linear, convolution, recurrent, in every width; one larger."""
    if name == "diagonal":
        return [to_bytes(ZOO["residual"](other)) for other in ("lists", "rice")]
    widths = sorted(ENCODINGS[name].widths - ({1} if name == "dense" else set()))
    programs = [
        stored_as(ZOO[case]("lists"), name, widths[(number + len(name)) % len(widths)])
        for number, case in enumerate(CASES)
    ]
    programs += [stored_as(ZOO["linear"]("lists"), name, bits) for bits in widths]
    programs.append(stored_as(mlp((200, 300, 40), density=0.2), name, 8))
    return [to_bytes(program) for program in programs]


def mutants(name: str, count: int, seed: int = 0) -> Iterator[bytes]:
    """Files of one encoding with random damage, nearly all of them with a checksum that fits."""
    dice = random.Random(f"{name} {seed}")
    files = corpus(name)
    parts = [split(data) for data in files]
    for _ in range(count):
        larger = len(files) - 1 if dice.random() < 0.1 else 0
        at = larger or dice.randrange(max(1, len(files) - 1))
        manifest, body = parts[at]
        yield dice.choices(KINDS, WEIGHTS)[0](dice, manifest, body)


def _spoiled(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """Some bytes of the sections are others."""
    changed = bytearray(body)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        place = dice.randrange(len(changed))
        if dice.random() < 0.5:
            changed[place] ^= 1 << dice.randrange(8)
        else:
            changed[place] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
    return forged(manifest, bytes(changed))


def _spliced(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """A run of the sections' bytes stands in another place, is zeros, or is noise."""
    changed = bytearray(body)
    length = dice.randrange(1, max(2, min(len(body) // 2, 64)))
    source, to = (dice.randrange(max(1, len(body) - length)) for _ in range(2))
    noise = dice.randbytes(length)
    run = dice.choice((body[source : source + length], bytes(length), b"\xff" * length, noise))
    changed[to : to + length] = run
    return forged(manifest, bytes(changed))


def _resized(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """One section states another number of items, and bytes come or go to fit or not to."""
    text = json.loads(json.dumps(manifest))
    arrays = dice.choice(text["tables"])["arrays"]
    described = arrays[dice.choice(sorted(arrays))]
    more = dice.choice((-1, 1, 2, -described[1], 5, 1 << dice.randrange(31)))
    described[1] += more
    size = int(described[0][1]) * more if dice.random() < 0.8 else dice.randrange(-8, 8)
    if size > 0:
        body += dice.randbytes(min(size, 4096))
    elif size < 0:
        body = body[:size] if -size < len(body) else b""
    return forged(text, body)


def _restated(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """Some fields of the manifest are others."""
    changed: object = manifest
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        changed = mutate(dice, changed)
    return forged(changed, body)


def _retyped(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """A table states another encoding, width or outline."""
    text = json.loads(json.dumps(manifest))
    table = dice.choice(text["tables"])
    field = dice.choice(("encoding", "bits", "rows", "columns"))
    others = {
        "encoding": sorted(ENCODINGS),
        "bits": (1, 2, 3, 4, 8, 16),
        "rows": (1, table["rows"] + 1, table["rows"] - 1, table["columns"], 1 << dice.randrange(30)),
        "columns": (1, table["columns"] + 1, table["columns"] - 1, table["rows"], 1 << dice.randrange(30)),
    }
    table[field] = dice.choice(others[field])
    return forged(text, body)


def _garbled(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """Some characters of the manifest are others."""
    text = bytearray(json.dumps(manifest).encode())
    for _ in range(dice.choice((1, 2, 4))):
        text[dice.randrange(len(text))] = dice.choice(b'0123456789"[]{}:,-.eEtfn\\u \x00\xff')
    return forged(bytes(text), body)


def _damaged(dice: random.Random, manifest: dict[str, object], body: bytes) -> bytes:
    """Bytes anywhere are others, or the file is cut, and the checksum is what it was."""
    data = bytearray(forged(manifest, body))
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data[: dice.randrange(len(data))] if dice.random() < 0.5 else data)


Damage = Callable[[random.Random, dict[str, object], bytes], bytes]
KINDS: tuple[Damage, ...] = (_spoiled, _spliced, _resized, _restated, _retyped, _garbled, _damaged)
WEIGHTS = (8, 4, 3, 2, 1, 1, 1)

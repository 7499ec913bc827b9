"""Files of each format version stay readable and stay the bytes they are."""

import hashlib

import numpy as np
import pytest

from runtime.container import from_bytes, header_bytes, to_bytes
from runtime.encodings import ENCODINGS, decode
from runtime.engine import Engine
from tests.builders.programs import random_input
from tests.golden.make_spk import GOLDEN, HERE, WEIGHTS


@pytest.mark.parametrize("name", GOLDEN)
def test_todays_writer_gives_the_golden_bytes(name):
    assert to_bytes(GOLDEN[name]()) == (HERE / f"v1-{name}.spk").read_bytes()


def test_every_encoding_has_a_golden_file():
    stored = {table.encoding for make in GOLDEN.values() for table in make().tables}
    assert stored == set(ENCODINGS)


@pytest.mark.parametrize("name", ["dense", "lists", "gaps", "bitmap"])
def test_the_golden_files_hold_the_same_weights(name):
    program = from_bytes((HERE / f"v1-{name}.spk").read_bytes())
    np.testing.assert_array_equal(decode(program.tables[0]), WEIGHTS)


PARAMETERS = "0300 0400 0500 2c01  03 00 ff 00"
SECTIONS = {
    # 0 3 0 -2 | 0 0 0 0 | 1 0 0 2 in streams of 3 bits, 12 bits and 4 of padding a row
    "dense": "180c 0000 0104",
    # row ends; columns; 3 -2 1 2 in streams of 4 bits
    "lists": "0000 0200 0200 0400  01 03 00 03  e3 21",
    # row ends; zeros skipped before each weight; bytes
    "gaps": "0000 0200 0200 0400  01 01 00 02  03 fe 01 02",
    # row ends; columns 1 and 3, none, 0 and 3; 3 -2 1 2 in streams of 3 bits
    "bitmap": "0000 0200 0200 0400  0a 00 09  7304",
}


@pytest.mark.parametrize("name", SECTIONS)
def test_the_sections_are_the_bytes_the_document_says(name):
    data = (HERE / f"v1-{name}.spk").read_bytes()
    sections = data[header_bytes(from_bytes(data)) :]
    assert sections == bytes.fromhex(SECTIONS[name] + PARAMETERS)


def test_the_prefix_is_the_one_the_document_says():
    data = (HERE / "v1-lists.spk").read_bytes()
    manifest_length = int.from_bytes(data[12:16], "little")
    assert data[:8] == bytes.fromhex("8953504b0d0a1a0a")
    assert data[8:12] == bytes([1, 0, 0, 0])
    assert int.from_bytes(data[16:24], "little") == len(data)
    assert data[24:56] == hashlib.sha256(data[:24] + data[56:]).digest()
    assert data[56:57] == b"{"
    assert data[55 + manifest_length : 56 + manifest_length] == b"}"


def test_the_golden_mixture_still_runs_to_the_same_scores():
    program = from_bytes((HERE / "v1-mixed.spk").read_bytes())
    result = Engine(program).run(random_input(program, samples=3, seed=0, density=0.8))
    assert result.counts.spikes > 0
    assert result.scores.tolist() == [[41, -113, -305], [-81, -110, -195], [-54, -96, -243]]

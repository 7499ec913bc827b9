"""Every encoding gives back what it was given, takes the bytes it says, and refuses unsafe arrays."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.encodings import (
    CANDIDATES,
    ENCODINGS,
    check_table,
    decode,
    encode,
    nonzeros,
    size,
    size_bytes,
    smallest,
)
from runtime.encodings.packing import pack, packed_bytes, unpack
from runtime.encodings.registry import sparse_of
from runtime.encodings.table import LEAST_PART, Kind
from runtime.errors import ModelError
from runtime.program import EncodedMatrix

WIDTHS = (2, 3, 4, 8)


@st.composite
def matrices(draw, most_columns=700):
    """(matrix, bits): any shape, density and width, the extreme weights included."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    bits = draw(st.sampled_from(WIDTHS))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, most_columns)))
    weights = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
    return (weights * (rng.random(shape) < draw(st.floats(0, 1)))).astype(np.int32), bits


@pytest.mark.parametrize("name", [*CANDIDATES, "archive"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=matrices())
def test_decoding_what_was_encoded_gives_the_matrix(name, case):
    matrix, bits = case
    table = encode(matrix, name, bits)
    check_table(table)
    np.testing.assert_array_equal(decode(table), matrix)


@pytest.mark.parametrize("name", CANDIDATES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=matrices())
def test_the_size_formula_is_the_stored_bytes_kind_by_kind(name, case):
    matrix, bits = case
    table = encode(matrix, name, bits)
    stored = dict.fromkeys(Kind, 0)
    for part, array in table.arrays.items():
        stored[ENCODINGS[name].kinds[part]] += array.nbytes
    found = size(matrix, name, bits)
    assert (found.weights, found.indices, found.pointers) == (
        stored[Kind.WEIGHTS],
        stored[Kind.INDICES],
        stored[Kind.POINTERS],
    )
    assert size_bytes(matrix, name, bits) == sum(stored.values())


SIGNS = ("signs", "lists", "packed", "records", "bitmap", "nibbles", "rice", "codebook", "huffman")


@pytest.mark.parametrize("name", SIGNS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(case=matrices())
def test_signs_survive_at_every_width(name, case):
    matrix = np.sign(case[0])
    for bits in (1, 2, case[1]):
        table = encode(matrix, name, bits)
        check_table(table)
        np.testing.assert_array_equal(decode(table), matrix)
        assert size_bytes(matrix, name, bits) == sum(array.nbytes for array in table.arrays.values())


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name != "diagonal"])
def test_tables_of_every_outline_survive(name):
    rng = np.random.default_rng(3)
    wide = np.zeros((3, 70_000), np.int32)
    wide[0, [0, 255, 256, 65_535, 65_536, 69_999]] = [1, -2, 3, -4, 5, -6]
    outlines = (
        np.zeros((1, 1)),
        np.ones((1, 1)),
        np.zeros((40, 3)),
        np.full((3, 40), -7),
        wide,
        wide[:, ::-1],
        np.ones((2, 66_000)),
        np.eye(33, 17) * 5,
        rng.integers(-8, 8, (300, 1)),
        rng.integers(-8, 8, (17, 60)) * (np.arange(17) % 5 == 0)[:, None],
        rng.integers(-8, 8, (37, 1000)) * (rng.random((37, 1000)) < 0.4),
        rng.integers(-8, 8, (2, 9000)),
    )
    for outline in outlines:
        matrix = (np.sign(outline) if name == "signs" else outline).astype(np.int32)
        for bits in {1, 4, 8} if name == "signs" else {4, 8}:
            table = encode(matrix, name, bits)
            check_table(table)
            np.testing.assert_array_equal(decode(table), matrix)
            assert size_bytes(matrix, name, bits) == sum(array.nbytes for array in table.arrays.values())
            again = encode(matrix.copy(), name, bits).arrays
            assert all(again[part].tobytes() == array.tobytes() for part, array in table.arrays.items())


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("taps", [1, 2, 6, 18])
def test_blocks_group_the_outputs_of_one_kernel_cell(size, taps):
    matrix = np.zeros((2, 18 * 5), np.int32)
    matrix[0, 1 :: 18 * 5 // 5] = 3
    matrix[1] = np.random.default_rng(0).integers(-8, 8, 90) * (np.arange(90) % 7 == 0)
    table = encode(matrix, f"blocks{size}", 4, taps=taps)
    check_table(table)
    np.testing.assert_array_equal(decode(table), matrix)
    assert int(table.arrays["taps"][0]) == taps
    assert ENCODINGS[f"blocks{size}"].size(sparse_of(matrix, taps), 4).total == sum(
        array.nbytes for array in table.arrays.values()
    )
    if taps == 18:
        assert table.arrays["pointers"][1] == -(-5 // size)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 50), st.sampled_from((2, 3, 4, 8, 16)), st.integers(0, 1 << 30))
def test_a_diagonal_gives_back_its_weights(columns, bits, seed):
    weights = np.random.default_rng(seed).integers(-(1 << (bits - 1)), 1 << (bits - 1), (1, columns))
    table = encode(weights, "diagonal", bits)
    check_table(table)
    np.testing.assert_array_equal(decode(table), weights)
    assert size_bytes(weights, "diagonal", bits) == table.arrays["weights"].nbytes


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=matrices())
def test_the_smallest_encoding_is_no_larger_than_any_other(case):
    matrix, bits = case
    best = size_bytes(matrix, smallest(matrix, bits), bits)
    assert best == min(size_bytes(matrix, name, bits) for name in CANDIDATES)


def test_each_encoding_wins_somewhere():
    rng = np.random.default_rng(0)

    def best(density, bits, shape=(64, 1024)):
        lowest = -(1 << (bits - 1))
        return smallest(rng.integers(lowest, -lowest, shape) * (rng.random(shape) < density), bits)

    assert {d: best(d, 8) for d in (0.03, 0.3, 0.999)} == {0.03: "rice", 0.3: "rice", 0.999: "dense"}
    assert best(0.6, 8, (1, 64)) == "bitmap"
    assert best(0.08, 8, (16, 40000)) == "rice"
    few = rng.choice([-100, -7, 55], (64, 1024))
    assert smallest(few * (rng.random((64, 1024)) < 0.05), 8) == "huffman"
    assert smallest(np.abs(few) // few * (rng.random((64, 1024)) < 0.05), 8) == "codebook"
    assert smallest(np.eye(1, 3, dtype=np.int32), 8) == "dense"
    assert smallest(np.eye(1, 9, dtype=np.int32) * 77, 8) == "lists"


def test_wide_rows_use_wide_indices_and_many_items_wide_pointers():
    for columns, dtype in ((256, "u1"), (257, "<u2"), (65536, "<u2"), (65537, "<u4")):
        assert encode(np.eye(1, columns, dtype=np.int32), "lists", 8).arrays["indices"].dtype == dtype
    many = np.ones((2, 32768), np.int32)
    for name in ("lists", "gaps", "bitmap"):
        assert encode(many, name, 8).arrays["pointers"].dtype == "<u4"
        assert encode(many[:, 1:], name, 8).arrays["pointers"].dtype == "<u2"


def test_gaps_of_every_length_around_the_escape_survive():
    for gap in (254, 255, 256, 509, 510, 511, 765):
        matrix = np.zeros((2, gap + 2), np.int32)
        matrix[0, [0, gap + 1]] = matrix[1, gap] = 3
        table = encode(matrix, "gaps", 4)
        check_table(table)
        np.testing.assert_array_equal(decode(table), matrix)


def test_packed_integers_are_a_little_endian_bit_stream_in_twos_complement():
    assert pack(np.array([1, -1, 2, -4], np.int32), 3).tolist() == [0b10111001, 0b1000]
    assert pack(np.array([7, -8], np.int32), 4).tolist() == [0x87]
    assert pack(np.array([1, -2, 0, -1], np.int32), 2).tolist() == [0b11001001]
    assert pack(np.array([-2], np.int32), 16).tolist() == [0xFE, 0xFF]
    assert packed_bytes(3, 3) == 2
    assert unpack(np.array([0x87], np.uint8), 2, 4).tolist() == [7, -8]


@pytest.mark.parametrize(
    ("matrix", "name", "bits", "found"),
    [
        ([[8]], "dense", 4, "expected -8..7"),
        ([[1]], "dense", 16, "16-bit"),
        ([[1]], "nothing", 8, "nothing"),
        ([[1], [2]], "diagonal", 8, "2 rows"),
        ([[0.5]], "dense", 8, "float64"),
        ([1], "dense", 8, "shape"),
        (np.zeros((0, 3), int), "dense", 8, "0 x 3"),
        ([[1 << 40]], "dense", 8, "32 bits"),
    ],
)
def test_what_no_encoding_can_hold_is_refused(matrix, name, bits, found):
    with pytest.raises(ModelError, match=found):
        encode(np.array(matrix), name, bits)


MATRIX = np.array([[0, 3, 0, -2, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 2]], np.int32)


def spoiled(name, bits=4, *, shape=(3, 5), **arrays):
    """The table of MATRIX with these arrays in place of its own."""
    table = encode(MATRIX, name, bits)
    return EncodedMatrix(name, *shape, bits, {**table.arrays, **arrays})


def u1(*values):
    return np.array(values, np.uint8)


def u2(*values):
    return np.array(values, np.uint16)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (spoiled("lists", indices=u1(1, 5, 0, 4)), "outside"),
        (spoiled("lists", indices=u1(3, 1, 0, 4)), "out of order"),
        (spoiled("lists", indices=u1(1, 1, 0, 4)), "out of order"),
        (spoiled("lists", indices=u2(1, 3, 0, 4)), "uint16"),
        (spoiled("lists", pointers=u2(0, 2, 2, 5)), "rising"),
        (spoiled("lists", pointers=u2(1, 2, 2, 4)), "rising"),
        (spoiled("lists", pointers=u2(0, 3, 2, 4)), "rising"),
        (spoiled("lists", pointers=u2(0, 2, 4)), "shape"),
        (spoiled("lists", weights=u1(0, 0x11)), "stored zeros"),
        (spoiled("lists", weights=u1(1)), "shape"),
        (spoiled("lists", shape=(3, 4)), "outside"),
        (spoiled("lists", shape=(0, 5)), "0 x 5"),
        (spoiled("lists", extra=u1(1)), "arrays"),
        (spoiled("lists", indices=np.array([[1, 3], [0, 4]], np.uint8)), "shape"),
        (spoiled("lists", indices=u1(1, 0, 3, 0, 0, 0, 4, 0)[::2]), "contiguous"),
        (spoiled("gaps", codes=u1(1, 3, 0, 3)), "outside"),
        (spoiled("gaps", codes=u1(1, 255, 0, 3)), "zero"),
        (spoiled("gaps", codes=u1(1, 255, 0, 3), weights=u1(0x03, 0x21)), "ends in an escape"),
        (spoiled("gaps", weights=u1(0x03, 0x21)), "zero"),
        (spoiled("gaps", pointers=u2(0, 2, 2, 9)), "rising"),
        (spoiled("bitmap", bitmap=u1(0b01010, 0, 0b110001)), "padding"),
        (spoiled("bitmap", bitmap=u1(0b01010, 1, 0b10001)), "rising"),
        (spoiled("bitmap", bitmap=u1(0b01110, 0, 0b10000)), "row lengths"),
        (spoiled("bitmap", weights=u1(0xE3, 0x01)), "stored zeros"),
        (spoiled("dense", weights=u1(*[0] * 8)), "shape"),
        (spoiled("dense", weights=u1(*[0] * 8, 0x10)), "padding"),
        (spoiled("dense", shape=(1 << 31, 5)), "each side"),
    ],
)
def test_a_table_that_could_lead_a_kernel_astray_is_refused(table, found):
    with pytest.raises(ModelError, match=found):
        check_table(table)


LONG = np.ones((2, 3 * LEAST_PART), np.int32)
"""More items in a row than are looked at together."""


@pytest.mark.parametrize("name", ["lists", "packed", "records", "signs", "blocks4", "gaps"])
def test_columns_must_rise_from_one_part_of_a_long_row_to_the_next(name):
    table = encode(LONG, name, 8)
    check_table(table)
    part = {"packed": "words", "records": "records", "gaps": "codes"}.get(name, "indices")
    stored = table.arrays[part]
    if name == "records":
        stored = stored.reshape(-1, 3)
    at = LEAST_PART // 4 if name == "blocks4" else LEAST_PART
    stored[at] = 254 if name == "gaps" else stored[at - 1]
    with pytest.raises(ModelError, match=r"out of order|outside"):
        check_table(table)


@pytest.mark.parametrize("place", [0, 1, LEAST_PART - 1, LEAST_PART, 3 * LEAST_PART - 1])
def test_a_column_in_both_lists_of_a_long_row_is_found(place):
    signs = LONG.copy()
    signs[0, place] = -1
    table = encode(signs, "signs", 8)
    check_table(table)
    pointers = table.arrays["pointers"]
    table.arrays["indices"][pointers[1]] = (place + 1) % LONG.shape[1]
    with pytest.raises(ModelError, match="both lists"):
        check_table(table)


def test_no_row_ends_in_an_escape_at_the_end_of_a_part():
    long = np.zeros((2, 255 * LEAST_PART + 2), np.int32)
    long[:, -1] = 1
    table = encode(long, "gaps", 8)
    check_table(table)
    table.arrays["pointers"][1] = LEAST_PART
    with pytest.raises(ModelError, match="ends in an escape"):
        check_table(table)


def test_padding_bits_of_a_stream_must_be_zero():
    table = encode(np.array([[1, 1, 1]], np.int32), "diagonal", 2)
    table.arrays["weights"][-1] |= 0x40
    with pytest.raises(ModelError, match="padding"):
        check_table(table)


def test_entries_of_a_large_empty_table_need_no_memory_for_its_area():
    table = encode(np.zeros((1, 3), np.int32), "lists", 8)
    wide = EncodedMatrix(
        "lists", 1, (1 << 30) - 1, 8, {**table.arrays, "indices": np.zeros(0, np.dtype("<u4"))}
    )
    check_table(wide)
    assert nonzeros(wide) == 0
    with pytest.raises(ModelError, match="to decode"):
        decode(wide)


def test_importing_the_runtime_loads_neither_numba_nor_torch_nor_onnx():
    code = (
        "import sys, runtime, runtime.container, runtime.encodings, runtime.coding, runtime.cost\n"
        "print(sorted({'numba', 'torch', 'onnx', 'scipy'} & set(sys.modules)))\n"
        "runtime.Engine; print('numba' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "True False"]

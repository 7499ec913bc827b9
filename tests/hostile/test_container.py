"""Damaged and forged ``.spk`` files: one sentence each, no crash, no hang, no allocation on a file's word."""

import random
import resource
import struct
import time
import tracemalloc

import numpy as np
import pytest

from runtime.container import from_bytes, read, to_bytes
from runtime.container.layout import MAGIC
from runtime.engine import Engine
from runtime.errors import FormatError
from tests.builders.programs import mlp, random_input
from tests.builders.zoo import ZOO
from tests.hostile.forging import forged, mutate, split


def refused(data):
    """The one sentence about a file."""
    with pytest.raises(FormatError) as error:
        from_bytes(data)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert len(sentence) < 1000
    return sentence


SMALL = to_bytes(mlp((3, 4, 2)))


def test_forging_without_a_change_is_accepted():
    assert to_bytes(from_bytes(forged(*split(SMALL)))) == SMALL


def test_a_file_cut_at_any_byte_is_refused():
    for length in range(len(SMALL)):
        refused(SMALL[:length])


def test_any_flipped_bit_is_refused():
    for bit in range(8 * len(SMALL)):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged))


def test_bytes_behind_the_end_are_refused():
    assert "bytes" in refused(SMALL + b"\0")
    manifest, body = split(SMALL)
    assert "behind the last" in refused(forged(manifest, body + b"\0"))


@pytest.mark.parametrize("version", [0, 2, 255, 65535])
def test_an_unknown_version_is_refused_by_name(version):
    assert f"version: found {version}, expected one of 1" in refused(forged(*split(SMALL), version=version))


def test_reserved_bytes_and_magic_are_checked():
    assert "reserved" in refused(forged(*split(SMALL), reserved=1))
    assert "magic" in refused(b"\x89PNG" + SMALL[4:])


@pytest.mark.parametrize("length", [0, 1, 1 << 22, (1 << 22) + 1, (1 << 32) - 1])
def test_a_false_manifest_length_is_refused(length):
    refused(forged(*split(SMALL), manifest_length=length))


@pytest.mark.parametrize("length", [1, 1 << 40, (1 << 64) - 1])
def test_a_false_file_length_is_refused(length):
    assert "bytes" in refused(forged(*split(SMALL), file_length=length))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "no JSON"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b"{", "no JSON"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"input":NaN}', "NaN"),
        (b'{"input":-Infinity}', "Infinity"),
        (b'{"input":1e999}', "1e999"),
        (b'{"input":' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"input":' + b"0." + b"1" * 5000 + b"}", "finite"),
        (b"[" * 9 + b"]" * 9, "8 levels"),
        (b"[" * 1_000_000, "8 levels"),
        (b'{"a":' * 100_000, "8 levels"),
        (b'"' + b"[" * 50 + b'"', "a text"),
        (b'"\\"[[[[[[[[[[[', "no JSON|levels"),
        ('{"ü":1}'.encode(), "ASCII"),
        (b"\xff\xfe", "ASCII"),
        (b"{}", "no field"),
    ],
)
def test_a_manifest_that_is_no_plain_object_is_refused(text, found):
    sentence = refused(forged(text, b""))
    assert any(part in sentence for part in found.split("|"))


def edited(path, value, name="linear"):
    """A file of the zoo with one field of its manifest replaced, its checksum right."""
    manifest, body = split(to_bytes(ZOO[name]("lists")))
    place = manifest
    for step in path[:-1]:
        place = place[step]
    if value is REMOVE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return forged(manifest, body)


REMOVE = ...
"""Take the field away."""
HUGE = 1 << 62

EDITS = [
    (("surprise",), 1),
    (("meta",), REMOVE),
    (("meta",), []),
    (("meta",), {"a": 1}),
    (("meta",), {"a": "\ud800"}),
    (("classes",), ["a"]),
    (("classes",), [1, 2, 3, 4]),
    (("classes",), "abcd"),
    *((("input", "sample_shift"), value) for value in (0, -1, 1, HUGE, True, "2")),
    (("output",), "2"),
    (("output",), True),
    (("output",), HUGE),
    (("output",), -1),
    (("readout",), "mean"),
    (("readout",), ["count"]),
    (("input", "shape"), [6.0]),
    (("input", "shape"), [HUGE]),
    (("input", "shape"), [1] * 9),
    (("input", "scale"), "1"),
    (("input", "scale"), 0),
    (("input", "signed"), 0),
    (("input", "coding"), "morse"),
    (("input", "n_steps"), HUGE),
    (("populations",), {}),
    (("populations",), []),
    (("populations", 0, "kind"), "output"),
    (("populations", 1, "kind"), "input"),
    (("populations", 1, "name"), "x" * 257),
    (("populations", 1, "shape"), [1 << 30]),
    (("populations", 1, "shape"), [-8]),
    (("populations", 1, "neuron", "leak"), [1, 2, 3]),
    (("populations", 1, "neuron", "leak"), [16]),
    (("populations", 1, "neuron", "leak"), [-1]),
    (("populations", 1, "neuron", "width"), 24),
    (("populations", 1, "neuron", "width"), 16.0),
    (("populations", 1, "neuron", "v_max"), HUGE),
    (("populations", 1, "neuron", "parameters", "bias_q"), ["i1", 0]),
    (("populations", 1, "neuron", "parameters", "bias_q"), ["u1", 1]),
    (("populations", 1, "neuron", "parameters", "bias_q"), ["f4", 1]),
    (("populations", 1, "neuron", "parameters", "bias_q"), ["O", 1]),
    (("populations", 1, "neuron", "parameters", "bias_q"), ["i1"]),
    (("populations", 1, "neuron", "parameters", "bias_q"), None),
    (("populations", 1, "neuron", "parameters", "extra"), ["i1", 1]),
    (("populations", 1, "pool"), {"kernel": [0, 0], "stride": [1, 1], "padding": [0, 0]}),
    (("populations", 1, "current_shape"), [8]),
    (("projections", 0, "pre"), 99),
    (("projections", 0, "table"), -1),
    (("projections", 0, "delay"), -1),
    (("projections", 0, "shift"), 100),
    (("projections", 0, "synapses"), {"kind": "telepathy"}),
    (("projections", 0, "synapses"), {"kind": "linear", "more": 1}),
    (("projections", 0, "synapses"), None),
    (("projections", 0, "pool"), {"kernel": [1], "stride": [1, 1], "padding": [0, 0]}),
    (("tables", 0, "encoding"), "zip"),
    (("tables", 0, "encoding"), "dense"),
    (("tables", 0, "rows"), HUGE),
    (("tables", 0, "rows"), 0),
    (("tables", 0, "columns"), (1 << 30) - 1),
    (("tables", 0, "columns"), 7),
    (("tables", 0, "bits"), 7),
    (("tables", 0, "bits"), 16),
    (("tables", 0, "bits"), 4),
    (("tables", 0, "arrays", "weights"), ["u1", HUGE]),
    (("tables", 0, "arrays", "weights"), ["u1", -1]),
    (("tables", 0, "arrays", "weights"), ["u1", True]),
    (("tables", 0, "arrays", "weights"), ["u1", 1]),
    (("tables", 0, "arrays", "pointers"), ["u4", 7]),
    (("tables", 0, "arrays", "indices"), ["i1", 19]),
    (("tables", 0, "arrays", "indices"), REMOVE),
    (("tables", 0, "arrays", "extra"), ["u1", 0]),
]


@pytest.mark.parametrize(("path", "value"), EDITS, ids=str)
def test_a_forged_field_is_refused(path, value):
    refused(edited(path, value))


CONV_EDITS = [
    ("in_shape", [4, 6]),
    ("in_shape", [1 << 20, 1 << 20, 1 << 20]),
    ("out_shape", [6, 6, 50]),
    ("kernel", [1 << 16, 1 << 16]),
    ("stride", [0, 0]),
    ("padding", [1 << 62, 0]),
    ("dilation", [0, 1]),
    ("groups", 0),
    ("groups", -1),
    ("groups", 4),
]


@pytest.mark.parametrize(("field", "value"), CONV_EDITS, ids=str)
def test_a_forged_convolution_is_refused(field, value):
    refused(edited(("projections", 0, "synapses", field), value, "conv"))


@pytest.mark.parametrize("encoding", ["lists", "gaps", "bitmap", "dense"])
def test_forged_sections_are_refused_or_run_within_bounds(encoding):
    """Random bytes in the tables, checksum right: what passes the check must run."""
    program = mlp((6, 40, 4), encoding=encoding)
    data = to_bytes(program)
    manifest, body = split(data)
    dice = random.Random(1)
    coded = random_input(program)
    ran = 0
    for _ in range(400):
        spoiled = bytearray(body)
        for _ in range(dice.choice((1, 1, 2, 8))):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        try:
            found = from_bytes(forged(manifest, bytes(spoiled)))
        except FormatError:
            continue
        if ran < 40:
            Engine(found).run(coded)
        ran += 1
    assert ran > 0


@pytest.mark.parametrize("name", ZOO)
def test_random_manifests_never_do_more_than_be_refused(name):
    dice = random.Random(name)
    program = ZOO[name](dice.choice(("lists", "gaps", "bitmap", "dense")))
    manifest, body = split(to_bytes(program))
    for _ in range(150):
        changed = manifest
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            changed = mutate(dice, changed)
        try:
            found = from_bytes(forged(changed, body))
        except FormatError:
            continue
        if found.input.n_steps <= 64:
            Engine(found).run(random_input(found, samples=1))


def test_an_absurd_size_asks_for_no_memory():
    """Tiny files that claim giants are refused within a few tens of megabytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for size in (1 << 24, 1 << 29, (1 << 30) - 1, 1 << 40, 1 << 62):
        for path in (
            ("tables", 0, "rows"),
            ("tables", 0, "columns"),
            ("populations", 1, "shape", 0),
            ("input", "shape", 0),
            ("input", "n_steps"),
        ):
            refused(edited(path, size))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024, f"{grown} KiB"


def test_an_empty_file_and_a_file_of_zeros_are_refused(tmp_path):
    for content in (b"", bytes(10_000), struct.pack("<8s", MAGIC)):
        path = tmp_path / "model.spk"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"model\.spk"):
            read(path)


def test_reading_gives_arrays_of_its_own():
    data = bytearray(SMALL)
    program = from_bytes(bytes(data))
    for table in program.tables:
        for array in table.arrays.values():
            assert array.flags.owndata or array.base is None or isinstance(array.base, np.ndarray)
            assert array.flags.aligned


@pytest.mark.parametrize("unit", ["{}", "[]", "1", '"a"', '""', "1.5", '{"a":1}', "[[[[[[]]]]]]"])
def test_a_manifest_of_many_small_values_is_refused_before_it_is_parsed(unit):
    values = ",".join([unit] * ((1 << 18) // (len(unit) + 1)))
    data = forged(f'{{"a":[{values}]}}'.encode(), b"")
    tracemalloc.start()
    assert "too many values" in refused(data)
    assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    tracemalloc.stop()


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 200_000, b'"\\' * 200_000, b'"' * 400_001])
def test_a_string_that_never_ends_is_looked_at_once(text):
    start = time.process_time()
    refused(forged(text, b""))
    assert time.process_time() - start < 2

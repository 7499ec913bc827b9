"""What is written reads back as it was, byte for byte, and its bytes add up."""

import dataclasses
import os

import numpy as np
import pytest

from runtime import footprint
from runtime.container import file_header_bytes, from_bytes, header_bytes, read, to_bytes, write
from runtime.engine import Engine
from runtime.errors import FormatError, ModelError, OutputError
from runtime.program import NeuronPopulation, Program
from runtime.spec import Coding
from tests.builders.programs import mlp, random_input
from tests.builders.zoo import SPARSE_AND_DENSE, ZOO, random_program


def assert_same_program(found: Program, expected: Program) -> None:
    plain = {"tables": ()}
    assert dataclasses.replace(found, **plain) == dataclasses.replace(expected, **plain)
    for a, b in zip(found.tables, expected.tables, strict=True):
        assert (a.encoding, a.rows, a.columns, a.bits) == (b.encoding, b.rows, b.columns, b.bits)
        for name in b.arrays:
            assert a.arrays[name].dtype == b.arrays[name].dtype
            np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


@pytest.mark.parametrize("encoding", SPARSE_AND_DENSE)
@pytest.mark.parametrize("name", ZOO)
def test_what_was_written_reads_back_and_runs_the_same(name, encoding):
    program = dataclasses.replace(ZOO[name](encoding), meta={"source": "a test", "größe": "5 µm\n"})
    data = to_bytes(program)
    found = from_bytes(data)
    assert_same_program(found, program)
    assert to_bytes(found) == data
    coded = random_input(program)
    np.testing.assert_array_equal(Engine(found).run(coded).scores, Engine(program).run(coded).scores)


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_survive_the_file(seed):
    program = random_program(seed)
    assert_same_program(from_bytes(to_bytes(program)), program)


@pytest.mark.parametrize("name", ZOO)
def test_the_printed_lines_add_up_to_the_file_without_its_header(name):
    program = ZOO[name]("gaps")
    data = to_bytes(program)
    assert sum(line.total for line in footprint(program)) == len(data) - header_bytes(program)
    assert file_header_bytes(data) == header_bytes(program)


def test_the_same_program_gives_the_same_bytes_whatever_the_order_of_its_mappings():
    program = mlp()
    one = dataclasses.replace(program, meta={"a": "1", "b": "2"})
    two = dataclasses.replace(program, meta={"b": "2", "a": "1"})
    assert to_bytes(one) == to_bytes(two)


def test_parameters_take_the_narrowest_type_that_holds_them():
    program = mlp()
    population = program.populations[1]
    for threshold, width in ((127, 1), (128, 2), (32768, 4)):
        model = dataclasses.replace(population.neuron, threshold_q=(threshold,))
        changed = dataclasses.replace(population, neuron=model)
        other = dataclasses.replace(
            program, populations=(program.populations[0], changed, *program.populations[2:])
        )
        line = next(line for line in footprint(other) if line.layer == "p1")
        assert line.parameters == 4 + width
        assert_same_program(from_bytes(to_bytes(other)), other)


def test_class_names_and_meta_are_kept():
    program = dataclasses.replace(mlp(), classes=("a", "b", "ç", "日"), meta={"accuracy": "0.98"})
    found = from_bytes(to_bytes(program))
    assert (found.classes, dict(found.meta)) == (program.classes, program.meta)


def test_bits_that_the_input_drops_are_kept_and_cost_nothing_where_there_are_none():
    program = ZOO["linear"]("lists")
    assert b"sample_shift" not in to_bytes(program)
    spec = dataclasses.replace(program.input, coding=Coding.DIRECT, sample_shift=3)
    read_back = from_bytes(to_bytes(dataclasses.replace(program, input=spec)))
    assert read_back.input == spec


def test_numpy_numbers_in_a_program_are_written_like_pythons():
    program = mlp()
    shape = tuple(np.int64(side) for side in program.populations[1].shape)
    changed = dataclasses.replace(program.populations[1], shape=shape)
    assert isinstance(changed, NeuronPopulation)
    other = dataclasses.replace(
        program, populations=(program.populations[0], changed, *program.populations[2:])
    )
    assert to_bytes(other) == to_bytes(program)


def test_writing_replaces_a_file_in_one_move(tmp_path):
    path = tmp_path / "model.spk"
    path.write_bytes(b"before")
    length = write(mlp(), path)
    assert length == path.stat().st_size
    assert_same_program(read(path), mlp())
    assert os.listdir(tmp_path) == ["model.spk"]


def test_a_place_that_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write(mlp(), tmp_path / "missing" / "model.spk")
    (tmp_path / "model.spk").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(mlp(), tmp_path / "model.spk")
    assert os.listdir(tmp_path) == ["model.spk"]


def test_a_failed_rename_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "model.spk"
    path.write_bytes(b"before")

    def broken(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OutputError, match="No space left"):
        write(mlp(), path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["model.spk"]


def test_an_unsafe_program_is_not_written(tmp_path):
    path = tmp_path / "model.spk"
    with pytest.raises(ModelError):
        write(dataclasses.replace(mlp(), output=0), path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"meta": {"a": "x" * 70_000}}, "characters"),
        ({"meta": {str(k): "" for k in range(1025)}}, "entries"),
        ({"meta": {"a": "\ud800"}}, "surrogate"),
        ({"classes": ("a", "b", "c", "x" * 300)}, "characters"),
        ({"meta": {str(k): "x" * 65_000 for k in range(70)}}, "manifest"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(changes, found):
    with pytest.raises(ModelError, match=found):
        to_bytes(dataclasses.replace(mlp(), **changes))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(FormatError, match=r"missing\.spk: cannot be read"):
        read(tmp_path / "missing.spk")
    with pytest.raises(FormatError, match="cannot be read"):
        read(tmp_path)

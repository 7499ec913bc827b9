"""What ``info``, ``report`` and ``export`` say and do about how tables are stored."""

import numpy as np
import pytest

import spikepress as sp
from runtime import container
from runtime.cost import table_bytes
from runtime.engine import Engine, Objective
from runtime.errors import ConfigError
from spikepress.formats import format_tables, formats
from tests.builders.programs import Builder, events, mlp


def test_info_gives_bytes_bounds_runner_up_break_even_and_a_reason(small_run):
    program = container.read(small_run / "model.spk")
    (first, second) = sp.info(small_run / "model.spk")["formats"]
    assert [first["bytes"], second["bytes"]] == [table_bytes(table) for table in program.tables]
    for one in (first, second):
        assert one["runner_up"] != one["encoding"]
        assert one["runner_up_bytes"] >= one["bytes"]
        assert one["over_bound"] == pytest.approx(
            one["bytes"] / min(one["bound_zero_order_bytes"], one["bound_per_row_bytes"]), rel=0.01
        )
        assert one["runner_up"] in one["reason"]
        assert one["times_the_fastest"] >= 1


def test_a_report_shows_stored_and_execution_bytes_side_by_side(small_run, tmp_path):
    report = sp.report(small_run, output=tmp_path / "page.html", samples=5)
    program = container.read(small_run / "model.spk")
    (walks,) = (table for table in report.tables if "under speed" in table.columns)
    assert any(table.title.startswith("Formats") for table in report.tables)
    engine = Engine(program, Objective.SPEED)
    for column, total in (("stored", engine.stored_bytes), ("under speed", engine.execution_bytes)):
        place = walks.columns.index(column)
        assert sum(int(row[place].replace(",", "")) for row in walks.rows) == total
    assert len(report.numbers["formats"]) == 2


@pytest.mark.parametrize(
    ("options", "encodings"),
    [
        ({"objective": "flash"}, {"huffman", "nibbles", "rice", "dense", "codebook"}),
        ({"objective": "speed"}, {"dense", "lists"}),
        ({"encoding": "archive"}, {"archive"}),
        ({"encoding": "bitmap", "objective": "speed"}, {"bitmap"}),
    ],
    ids=["flash", "speed", "archive", "named"],
)
def test_export_stores_tables_as_it_is_asked_to(small_run, tmp_path, options, encodings):
    sp.export(small_run, targets=("spk",), output=tmp_path, **options)
    found = container.read(tmp_path / "model.spk")
    assert {table.encoding for table in found.tables} <= encodings
    same = container.read(small_run / "model.spk")
    coded = np.ones((found.input.n_steps, 2, *found.input.shape), np.int32)
    np.testing.assert_array_equal(Engine(found).run(coded).scores, Engine(same).run(coded).scores)


def test_an_unknown_objective_is_named(small_run):
    with pytest.raises(ConfigError, match="'size', expected one of flash, speed, balanced"):
        sp.export(small_run, objective="size")


def test_an_archive_has_no_walk_and_says_what_would_run():
    (one, _) = formats(mlp((60, 80, 10), encoding="archive", density=0.1))
    assert one.event_ns is None
    assert one.over_bound < 1.1
    assert "for storage only" in one.reason
    sizes, walks = format_tables((one,), {"s0": "first"})
    assert sizes.rows[0][0] == "first"
    assert walks.rows[0][1:3] == ("-", "-")


def test_a_table_without_weights_has_no_ratio_and_a_diagonal_no_line():
    build = Builder(np.random.default_rng(0), events((4,)), density=0.0)
    build.linear(0, build.neurons((4,)), "dense")
    build.diagonal(1, build.neurons((4,)))
    (one,) = formats(build.program())
    assert one.over_bound is None
    assert (one.encoding, one.bytes, one.layer) == ("dense", 16, "s0")

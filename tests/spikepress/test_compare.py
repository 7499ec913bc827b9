"""``compare``: figures side by side, sizes by their stated rules, what changed between two runs."""

from __future__ import annotations

import shutil
import zlib

import numpy as np
import pytest

from exporter import graph_file
from runtime.errors import ConfigError, DataError
from spikepress.comparing import compare
from spikepress.flows import worst_synops
from spikepress.reference_sizes import FORMATS
from tests.builders.programs import mlp

MATRIX = np.array([[0, 3, 0, -1], [0, 0, 0, 0], [2, 0, 0, 0]], np.int32)
BY_HAND = {
    "dense int8": 12,
    "CSR": 3 * (1 + 2) + 4 * 4,
    "ONNX sparse": 3 * 9,
    "NIR": len(zlib.compress(MATRIX.astype("<f4").tobytes(), 4)),
    "TFLite-style": 3 * (1 + 1) + 5 * 1,
}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_format_takes_what_its_rule_says(form):
    assert form.bytes(MATRIX) == BY_HAND[form.name]


def test_wide_tables_need_wide_indices():
    wide = np.zeros((1, 65_537), np.int32)
    wide[0, :2] = 1
    by_name = {form.name: form.bytes for form in FORMATS}
    assert by_name["CSR"](wide) == 2 * (1 + 4) + 2 * 4
    assert by_name["TFLite-style"](wide.T.copy()) == 2 * (1 + 4) + 2 * 1


@pytest.fixture(scope="module")
def two(small_run, tmp_path_factory):
    """The small run, and a copy whose configuration and one weight differ."""
    other = tmp_path_factory.mktemp("compare") / "other"
    shutil.copytree(small_run, other)
    config = other / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("sparsity = 0.6", "sparsity = 0.7"))
    graph = graph_file.load(other / "graph-whole.npz")
    weight = next(node.weight for node in graph.nodes if getattr(node, "weight", None) is not None)
    kept = np.argwhere(weight != 0)
    weight.flags.writeable = True
    weight[tuple(kept[0])] = 0
    weight[tuple(kept[1])] += 1 if weight[tuple(kept[1])] not in (-1, 127) else -1
    graph_file.save(graph, other / "graph-whole.npz")
    return small_run, other


def test_models_stand_side_by_side_with_what_changed(two):
    result = compare(two, samples=50)
    one, other = result.sides
    assert one.accuracy == other.accuracy
    assert one.references["dense int8"] > one.table_bytes
    assert one.onnx_file_bytes == (two[0] / "model.onnx").stat().st_size
    assert [(d.what, d.before, d.after) for d in result.changed[0].config] == [
        ("prune.sparsity", "0.6", "0.7")
    ]
    assert result.changed[0].layers == ()
    first = result.changed[0].masks[0]
    assert (first.before - first.after, first.before - first.both, first.moved) == (1, 1, 1)
    assert len(result.as_json()["changes"]) == 1


def test_a_run_beside_itself_has_not_changed(two):
    found = compare([two[0], two[0]], samples=5).changed[0]
    assert found.config == found.layers == ()
    assert all(mask.before == mask.after == mask.both and mask.moved == 0 for mask in found.masks)


def test_nothing_to_compare_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least one"):
        compare([])
    with pytest.raises(DataError, match="expected"):
        compare([tmp_path / "none.spk"])


def test_the_worst_case_is_every_surviving_synapse_in_every_step():
    program = mlp()
    kept = [int((projection_weights(program, number) != 0).sum()) for number in range(len(program.tables))]
    assert worst_synops(program) == sum(kept) * program.input.n_steps * program.input.bits


def projection_weights(program, number):
    from runtime.encodings import decode

    return decode(program.tables[number])

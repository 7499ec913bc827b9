"""Graphs become programs without anything unused, and their memory adds up to the byte."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter.graph import Conv, Linear, by_name
from exporter.lower import lower, table_matrix
from exporter.plan import Kind, Memory, plan
from exporter.targets import spk
from runtime import container
from runtime.container import layout
from runtime.encodings import CANDIDATES, decode, size_bytes
from runtime.errors import UnsupportedError
from runtime.program import ConvSynapses, DiagonalSynapses, GatePopulation, NeuronPopulation
from tests.builders.graphs import CASES, whole


@pytest.mark.parametrize("case", CASES)
def test_every_table_is_used_and_takes_the_smallest_encoding(case: str) -> None:
    graph = whole(case)
    program = lower(graph)
    assert {p.table for p in program.projections} == set(range(len(program.tables)))
    for projection in program.projections:
        table = program.tables[projection.table]
        if isinstance(projection.synapses, DiagonalSynapses):
            assert table.encoding == "diagonal"
            continue
        matrix = decode(table)
        conv = isinstance(projection.synapses, ConvSynapses)
        taps = math.prod(projection.synapses.kernel) if conv else 1
        assert size_bytes(matrix, table.encoding, table.bits, taps=taps) == min(
            size_bytes(matrix, name, table.bits, taps=taps) for name in CANDIDATES
        )


@pytest.mark.parametrize("encoding", CANDIDATES)
def test_an_encoding_can_be_asked_for(encoding: str) -> None:
    program = lower(whole("residual"), encoding)
    kinds = [table.encoding for table in program.tables]
    assert set(kinds) == {encoding, "diagonal"}
    assert program.meta == {}


def test_grouped_convolutions_lay_their_rows_out_by_input_channel() -> None:
    conv = by_name(whole("convolution"))["c2"]
    assert isinstance(conv, Conv)
    matrix = table_matrix(conv)
    assert matrix.shape == (4, 3 * 4)
    # Input channel 3 is the second of group 1; output 1 of that group is channel 4.
    np.testing.assert_array_equal(matrix[3].reshape(3, 2, 2)[1], conv.weight[4, 1])


def test_spikes_added_after_their_neurons_share_one_table() -> None:
    program = lower(whole("spike sum"))
    users = [p for p in program.projections if p.name.startswith("fc3")]
    assert len(users) == 2
    assert len({p.table for p in users}) == 1
    assert len({p.pre for p in users}) == 2


def test_pools_and_delays_arrive_where_they_belong() -> None:
    pooled = lower(whole("convolution"))
    conv = next(p for p in pooled.projections if p.name == "c2")
    assert conv.pool is not None
    assert isinstance(conv.synapses, ConvSynapses)
    assert conv.synapses.in_shape == (4, 3, 3)
    gate = lower(whole("gate"))
    assert sum(isinstance(p, GatePopulation) for p in gate.populations) == 1
    currents = lower(whole("current pool"))
    first = currents.populations[1]
    assert isinstance(first, NeuronPopulation)
    assert first.current_shape == (3, 7, 6)
    assert first.shape == (3, 4, 3)
    recurrent = lower(whole("recurrent"))
    assert sorted(p.delay for p in recurrent.projections) == [0, 0, 1, 3]


def test_a_rounding_shift_of_added_spikes_is_refused() -> None:
    graph = whole("spike sum")
    nodes = tuple(
        replace(n, shift=-1) if isinstance(n, Linear) and n.name == "fc3" else n for n in graph.nodes
    )
    with pytest.raises(UnsupportedError, match="fc3: found a rounding shift over 2 added populations"):
        lower(replace(graph, nodes=nodes))


@pytest.mark.parametrize("case", CASES)
def test_flash_lines_are_the_arrays_of_the_file(case: str, tmp_path: Path) -> None:
    program = lower(whole(case))
    spk.export(program, tmp_path / "model.spk")
    again = container.read(tmp_path / "model.spk")
    memory = plan(program)
    assert memory.lines == plan(again).lines
    stored = sum(array.nbytes for table in again.tables for array in table.arrays.values())
    content = (tmp_path / "model.spk").read_bytes()
    manifest = layout.PREFIX.unpack_from(content)[3]
    assert memory.flash_bytes == len(content) - layout.FIXED_BYTES - manifest
    kinds = (Kind.WEIGHTS, Kind.INDICES, Kind.POINTERS)
    assert sum(line.bytes for line in memory.lines if line.kind in kinds) == stored
    assert memory.flash_bytes + memory.ram_bytes == sum(line.bytes for line in memory.lines)
    assert all(line.bytes > 0 for line in memory.lines)


def test_the_plan_of_a_small_net_adds_up_by_hand() -> None:
    lines = plan(lower(whole("constant", bits=8, tight=False))).lines
    ram = {(line.layer, line.kind): line.bytes for line in lines if line.memory is Memory.RAM}
    assert ram == {
        ("hidden", Kind.MEMBRANES): 14 * 2,
        ("hidden", Kind.CONSTANT_CURRENT): 14 * 4,
        ("hidden", Kind.EVENT_QUEUES): 2 + 14,
        ("out", Kind.MEMBRANES): 5 * 2,
        ("out", Kind.ACCUMULATORS): 5 * 4,
        ("out", Kind.SCRATCH): 5 * 4,
        ("shared", Kind.GAPS): 2,
    }

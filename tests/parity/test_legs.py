"""Reference, engine and ONNX Runtime agree on every spike, membrane, score and prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from exporter.graph import Graph
from exporter.lower import lower
from exporter.reference import run
from exporter.targets.onnx import export
from runtime.engine import Engine
from runtime.trace import Trace
from tests.builders.graphs import CASES, coded, whole

Outputs = dict[str, NDArray[np.generic]]


def run_onnx(graph: Graph, frames: NDArray[np.int32], path: Path) -> Outputs:
    """Outputs of the traced twin by name."""
    export(graph, path, traced=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": np.ascontiguousarray(frames)}), strict=True))


def assert_same(found: Trace, reference: Trace) -> None:
    assert found.spikes.keys() == reference.spikes.keys()
    for name in reference.spikes:
        np.testing.assert_array_equal(found.spikes[name], reference.spikes[name], name)
        np.testing.assert_array_equal(found.membranes[name], reference.membranes[name], name)
    np.testing.assert_array_equal(found.scores, reference.scores)
    np.testing.assert_array_equal(found.predictions, reference.predictions)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bits", [8, 3])
def test_the_engine_does_what_the_reference_does(case: str, bits: int) -> None:
    graph = whole(case, seed=bits, bits=bits)
    frames = coded(graph, seed=3)
    result = Engine(lower(graph)).run(np.ascontiguousarray(frames), trace=True)
    assert result.trace is not None
    assert_same(result.trace, run(graph, frames))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bits", [8, 2])
def test_onnx_runtime_does_what_the_reference_does(case: str, bits: int, tmp_path: Path) -> None:
    graph = whole(case, seed=bits, bits=bits)
    frames = coded(graph, seed=4)
    reference, found = run(graph, frames), run_onnx(graph, frames, tmp_path / "model.onnx")
    for name in reference.spikes:
        np.testing.assert_array_equal(found[f"{name}.spikes"], reference.spikes[name], name)
        np.testing.assert_array_equal(found[f"{name}.membranes"], reference.membranes[name], name)
    np.testing.assert_array_equal(found["scores"], reference.scores)
    np.testing.assert_array_equal(found["predictions"], reference.predictions)


def test_the_nets_of_the_parity_tests_live_tie_clamp_and_go_below_zero() -> None:
    ties = clamps = 0
    for case in CASES:
        graph = whole(case, seed=8, bits=4)
        result = Engine(lower(graph)).run(np.ascontiguousarray(coded(graph, samples=16, seed=8)), trace=True)
        assert result.trace is not None
        for name, spikes in result.trace.spikes.items():
            if spikes.any() or name != graph.output:
                assert 0.01 <= np.mean(spikes > 0) <= 0.5, (case, name)
            membranes = result.trace.membranes[name]
            assert (membranes < 0).any(), (case, name)
            assert (membranes > 0).any(), (case, name)
        ties, clamps = ties + result.counts.ties, clamps + result.counts.clamps
    assert ties > 0
    assert clamps > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("case", CASES)
def test_all_legs_agree_on_many_seeds_and_widths(case: str, seed: int, tmp_path: Path) -> None:
    graph = whole(case, seed, bits=(8, 4, 3, 2)[seed % 4], tight=seed % 3 > 0)
    frames = np.ascontiguousarray(coded(graph, samples=32, seed=seed))
    reference = run(graph, frames)
    result = Engine(lower(graph)).run(frames, trace=True)
    assert result.trace is not None
    assert_same(result.trace, reference)
    found = run_onnx(graph, frames, tmp_path / "model.onnx")
    for name in reference.spikes:
        np.testing.assert_array_equal(found[f"{name}.membranes"], reference.membranes[name], name)
        np.testing.assert_array_equal(found[f"{name}.spikes"], reference.spikes[name], name)
    np.testing.assert_array_equal(found["predictions"], reference.predictions)

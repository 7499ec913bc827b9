"""The step form of the ONNX document: frame by frame it is the reference, whoever keeps the states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from exporter.reference import run
from exporter.targets.onnx_step import AFTER, BEFORE, export_step, step_model
from runtime.spec import Coding
from spikepress.onnx_session import opened
from tests.builders.graphs import CASES, coded, whole


@pytest.mark.parametrize("case", CASES)
def test_steps_are_the_references(case: str, tmp_path: Path) -> None:
    graph = whole(case)
    frames = coded(graph)
    expected = run(graph, frames)
    path = tmp_path / "step.onnx"
    export_step(graph, path)
    session = opened(path)
    names = [one.name for one in session.get_outputs()]
    held = {one.name for one in session.get_overridable_initializers()}
    states: dict[str, np.ndarray] = {}
    for t, frame in enumerate(frames):
        feeds = {"frame": np.ascontiguousarray(frame, np.int32)} | states
        found = dict(zip(names, session.run(None, feeds), strict=True))
        assert np.array_equal(found[f"{graph.output}.spikes"], expected.spikes[graph.output][t])
        for name, membranes in expected.membranes.items():
            assert np.array_equal(found[f"{name}.v{AFTER}"].reshape(len(frame), -1), membranes[t])
        after = {name.replace(AFTER, BEFORE): value for name, value in found.items() if AFTER in name}
        states = {name: value for name, value in after.items() if name in held}
        assert set(states) == held
    assert np.array_equal(found[f"scores{AFTER}"], expected.scores)
    assert np.array_equal(found["predictions"], expected.predictions)
    assert expected.spikes[graph.output].any() or expected.scores.any()


def test_the_document_has_no_loop_and_standard_operators_only() -> None:
    document = step_model(whole("recurrent"))
    assert {domain.domain for domain in document.opset_import} == {""}
    assert not {"Scan", "Loop"} & {node.op_type for node in document.graph.node}
    onnx.checker.check_model(document, full_check=True)


def test_a_constant_frame_is_given_at_every_step() -> None:
    graph = whole("constant")
    assert graph.nodes[0].spec.coding is Coding.DIRECT  # type: ignore[union-attr]
    assert step_model(graph).graph.input[0].name == "frame"

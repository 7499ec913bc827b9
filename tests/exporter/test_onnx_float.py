"""The float twin in ONNX fires as the reference in real units does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from exporter.graph import Graph, Input, Linear, Neuron
from exporter.reference import run_float
from exporter.targets.onnx_float import export_float, float_model
from runtime.errors import ModelError
from runtime.spec import Coding, Compare, Fire, FloatNeuron, InputSpec, Leak, Readout, Reset, ResetTiming
from spikepress.onnx_session import opened, outputs
from tests.builders.graphs import CASES, coded, real, whole


def agreement(graph: Graph, frames: np.ndarray, path: Path) -> float:
    """Share of neuron-steps with the reference's payload."""
    export_float(graph, path)
    found, expected = outputs(opened(path), frames), run_float(graph, frames)
    same = total = 0
    for name, spikes in expected.spikes.items():
        assert found[f"{name}.spikes"].shape == spikes.shape
        same += int(np.count_nonzero(found[f"{name}.spikes"] == spikes))
        total += spikes.size
    wrong = np.count_nonzero(found["predictions"] != expected.predictions)
    assert wrong <= len(expected.predictions) // 8
    return same / total


@pytest.mark.parametrize("case", CASES)
def test_every_case_fires_as_the_reference(case: str, tmp_path: Path) -> None:
    graph = real(case)
    assert agreement(graph, coded(graph), tmp_path / "float.onnx") > 0.999


@pytest.mark.parametrize("timing", ResetTiming)
@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("compare", Compare)
def test_neurons_from_elsewhere_fire_as_the_reference(timing, reset, compare, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = FloatNeuron(
        decay=tuple(rng.uniform(0.7, 0.95, 16)),
        reset=reset,
        reset_timing=timing,
        compare=compare,
        reset_value=(-0.25,),
        v_leak=(0.125,),
        bias=(0.03125,),
    )
    silent = FloatNeuron(leak=Leak((2,)), fire=Fire.SILENT, reset=Reset.NONE)
    graph = Graph(
        (
            Input("input", InputSpec((12,), Coding.EVENTS, 20)),
            Linear("first", "input", rng.normal(0, 0.6, (16, 12))),
            Neuron("middle", "first", model),
            Linear("second", "middle", rng.normal(0, 0.5, (4, 16))),
            Neuron("out", "second", silent),
        ),
        "out",
        Readout.MEMBRANE_MAX,
    )
    frames = (rng.random((20, 16, 12)) < 0.3).astype(np.int32)
    assert run_float(graph, frames).spikes["middle"].mean() > 0.02
    assert agreement(graph, frames, tmp_path / "float.onnx") > 0.999


def test_the_document_is_one_loop_of_standard_operators() -> None:
    document = float_model(real("recurrent"))
    assert [node.op_type for node in document.graph.node].count("Scan") == 1
    assert {domain.domain for domain in document.opset_import} == {""}
    onnx.checker.check_model(document, full_check=True)


def test_an_integer_graph_is_refused() -> None:
    with pytest.raises(ModelError, match="integer"):
        float_model(whole("linear"))

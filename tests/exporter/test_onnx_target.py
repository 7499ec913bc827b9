"""The ONNX document: its form, its size, and the exactness of its detours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from exporter.graph import Conv, Flatten, Graph, Input, Linear, Neuron
from exporter.quantize import quantize
from exporter.reference import run
from exporter.targets.onnx import export, model
from runtime.errors import ModelError, OutputError, UnsupportedError
from runtime.spec import Coding, FloatNeuron, InputSpec, Leak, Readout
from tests.builders.graphs import CASES, coded, real, whole


def body(document: onnx.ModelProto) -> list[str]:
    """Operators inside the one loop."""
    (scan,) = [node for node in document.graph.node if node.op_type == "Scan"]
    (graph,) = [a.g for a in scan.attribute if a.name == "body"]
    return [node.op_type for node in graph.node]


def outputs(path: Path, frames: NDArray[np.integer]) -> dict[str, NDArray[np.generic]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(None, {"input": np.ascontiguousarray(frames, np.int32)})
    return dict(zip(names, found, strict=True))


def test_a_lif_layer_takes_at_most_fourteen_nodes_in_the_loop() -> None:
    assert len(body(model(whole("linear", tight=False)))) <= 2 * 14
    # The currents of a constant input are computed once, outside.
    assert "MatMul" in [node.op_type for node in model(whole("constant")).graph.node]
    assert body(model(whole("constant"))).count("MatMul") == 1


@pytest.mark.parametrize("case", CASES)
def test_only_standard_operators_are_used(case: str) -> None:
    document = model(whole(case), traced=True)
    assert {domain.domain for domain in document.opset_import} == {""}
    kinds = set(body(document)) | {node.op_type for node in document.graph.node}
    assert "BitShift" not in kinds
    assert "Loop" not in kinds


def test_one_document_runs_any_number_of_steps_and_samples(tmp_path: Path) -> None:
    graph = whole("recurrent")
    path = tmp_path / "model.onnx"
    export(graph, path)
    for steps, samples in ((1, 1), (5, 3), (40, 2)):
        frames = coded(graph, steps=steps, samples=samples)
        found = outputs(path, frames)
        np.testing.assert_array_equal(found["scores"], run(graph, frames).scores)
        assert set(found) == {"scores", "predictions"}


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        export(whole("residual"), tmp_path / name)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_weights_are_stored_in_eight_bits(tmp_path: Path) -> None:
    spec = InputSpec((200,), Coding.EVENTS, 4)
    weight = np.random.default_rng(0).normal(0, 0.2, (300, 200))
    nodes = (Input("in", spec), Linear("fc", "in", weight), Neuron("n", "fc", FloatNeuron(Leak((3,)))))
    export(quantize(Graph(nodes, "n", Readout.COUNT)), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size <= 300 * 200 + 2 * 4 * 300 + 4096


@pytest.mark.parametrize("signed", [False, True])
def test_convolutions_beyond_float32_are_split_and_stay_exact(signed: bool, tmp_path: Path) -> None:
    spec = InputSpec((64, 4, 4), Coding.DIRECT, 3, bits=14, signed=signed)
    rng = np.random.default_rng(4)
    weight = rng.integers(-127, 128, (3, 64, 3, 3)).astype(np.int32)
    conv = Conv("c", "in", weight, padding=(1, 1), scale=np.full(3, 1e-7), bits=8)
    nodes = (
        Input("in", spec),
        conv,
        Neuron("n1", "c", FloatNeuron(Leak((2,)), threshold=(1.0,))),
        Flatten("flat", "n1"),
        Linear("fc", "flat", rng.normal(0, 1, (4, 48))),
        Neuron("n", "fc", FloatNeuron(Leak((2,)))),
    )
    graph = quantize(Graph(nodes, "n", Readout.COUNT))
    low = -(2**14) + 1 if signed else 0
    frames = rng.integers(low, 2**14, (3, 5, 64, 4, 4)).astype(np.int32)
    export(graph, tmp_path / "model.onnx", traced=True)
    found, reference = outputs(tmp_path / "model.onnx", frames), run(graph, frames)
    assert body(model(graph)).count("Conv") > 1
    for name, spikes in reference.spikes.items():
        assert spikes.any()
        np.testing.assert_array_equal(found[f"{name}.spikes"], spikes)
        np.testing.assert_array_equal(found[f"{name}.membranes"], reference.membranes[name])


def test_the_document_says_what_its_input_is() -> None:
    graph = replace(whole("linear"), classes=("a", "b", "c", "d", "e"), meta={"data": "toy"})
    found = {entry.key: entry.value for entry in model(graph).metadata_props}
    assert found["coding"] == "events"
    assert found["classes"] == "a,b,c,d,e"
    assert found["data"] == "toy"


def test_a_graph_in_reals_is_refused() -> None:
    with pytest.raises(ModelError, match="found weights in float64"):
        model(real("linear"))


def test_a_place_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/model\.onnx: found no such file or directory"):
        export(whole("linear"), tmp_path / "nowhere" / "model.onnx")
    (tmp_path / "taken.onnx").mkdir()
    with pytest.raises(OutputError):
        export(whole("linear"), tmp_path / "taken.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.onnx"]


def test_sums_beyond_exact_convolution_are_refused_by_name() -> None:
    spec = InputSpec((2100, 8, 8), Coding.EVENTS, 2)
    weight = np.full((1, 2100, 8, 8), 127, np.int32)
    conv = Conv("c", "in", weight, scale=np.full(1, 1e-3), bits=8)
    nodes = (Input("in", spec), conv, Neuron("n", "c", FloatNeuron(threshold=(1.0,))))
    with pytest.raises(UnsupportedError, match="c: found weights whose sizes sum to"):
        model(quantize(Graph(nodes, "n", Readout.COUNT)))

"""``check`` names all that a target would refuse in a file, and says nothing of what it takes."""

from __future__ import annotations

import json
from dataclasses import replace

import nir
import numpy as np
import onnx
import onnxruntime
import pytest
from typer.testing import CliRunner

import spikepress as sp
from exporter.lower import lower
from exporter.targets import onnx as onnx_target
from exporter.targets.nir import export
from runtime import container
from runtime.errors import ConfigError, DataError, FormatError
from runtime.spec import Compare, Fire, FloatNeuron, Leak, Reset, SynapticOrder
from spikepress import check_rules
from spikepress.cli import app
from spikepress.importing import NirWords
from spikepress.model_facts import ModelFacts, PopulationFacts, SynapseFacts
from spikepress.onnx_check import NEWEST_IR, OPSETS
from tests.builders import graphs
from tests.builders.nir_nets import random_nir

PORTABLE = FloatNeuron(Leak((3,)), compare=Compare.GREATER, reset=Reset.VALUE)


def graph_of(model: FloatNeuron):
    return graphs.chain(model)(np.random.default_rng(0))


@pytest.fixture
def theirs(tmp_path):
    export(graph_of(PORTABLE), tmp_path / "net.nir")
    return tmp_path / "net.nir"


def test_a_portable_file_passes_for_us_and_for_nir(theirs):
    found = sp.check_model(theirs, targets=("spikepress", "nir", "loihi1", "loihi2"))
    assert found.passes
    assert found.kind == "nir"


def test_all_nodes_that_cannot_be_read_are_named_at_once(tmp_path):
    lif = nir.LIF(np.array([1e-5, -1.0]), np.ones(2), np.zeros(2), np.ones(2))
    bad = nir.LIF(np.array([1e-3]), np.ones(1), np.zeros(1), np.full(1, np.nan))
    nir.write(
        tmp_path / "net.nir",
        nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), lif, nir.Linear(np.ones((1, 2))), bad),
    )
    found = sp.check_model(tmp_path / "net.nir")
    assert [one.node for one in found.findings] == ["lif", "lif_1"]
    assert all(one.remedy and one.rule and one.found for one in found.findings)


def test_leaks_that_would_move_are_notes_and_leaks_that_differ_are_findings(tmp_path):
    def write(tau):
        node = nir.LIF(tau, np.ones(2), np.zeros(2), np.ones(2))
        nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), node))
        return sp.check_model(tmp_path / "net.nir")

    moved = write(np.full(2, 1e-3))
    assert moved.passes
    assert "0.9 became 0.90625" in moved.notes[0]
    mixed = write(np.array([1e-3, 2e-4]))
    assert [one.node for one in mixed.findings] == ["lif"]


@pytest.mark.parametrize(
    ("target", "model", "rules"),
    [
        ("nir", FloatNeuron(Leak((3,))), {"a reset to a value", "a spike above the threshold"}),
        ("xylo", replace(PORTABLE, leak=Leak((2, 5))), {"a reset by subtraction", "a decay by one shift"}),
        ("speck", PORTABLE, {"neurons that do not leak"}),
    ],
)
def test_every_rule_that_a_network_breaks_is_named_at_each_population(theirs, target, model, rules):
    export(graph_of(model), theirs, lossy=True)
    words = {"reset": model.reset.value, "compare": model.compare.value}
    found = sp.check_model(theirs, targets=(target,), words=NirWords(**words))
    assert rules <= {one.rule for one in found.findings}
    assert {one.node for one in found.findings if one.rule in rules} == {"hidden", "out"}


def test_sizes_of_chips_are_counted(tmp_path):
    graph = graph_of(FloatNeuron(Leak((3,)), compare=Compare.GREATER))
    wide = replace(graphs.EVENTS, shape=(20,))
    graph = graphs.chain(FloatNeuron(Leak((3,))), wide)(np.random.default_rng(0))
    export(graph, tmp_path / "net.nir", lossy=True)
    words = NirWords(reset="subtract", compare=">=")
    (found,) = sp.check_model(tmp_path / "net.nir", targets=("xylo",), words=words).findings
    assert (found.rule, found.found) == ("at most 16 inputs", "20")


def test_stored_programs_and_runs_are_checked_alike(tmp_path, small_run):
    container.write(lower(graphs.whole("convolution")), tmp_path / "net.spk")
    found = sp.check_model(tmp_path / "net.spk", targets=("spikepress", "xylo", "speck"))
    assert "weights of a matrix" in {one.rule for one in found.findings}
    assert sp.check_model(small_run).passes
    assert not sp.check_model(small_run, targets=("nir",)).passes


def test_an_onnx_file_is_checked_without_opening_what_it_points_to(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", 1, [2])
    weight = onnx.helper.make_tensor("w", 1, [2], [1.0, 2.0])
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    out = onnx.helper.make_tensor_value_info("y", 1, [2])
    graph = onnx.helper.make_graph([node], "g", [value], [out], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert sp.check_model(path).passes
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    model.ir_version = 99
    inner = onnx.helper.make_node("Constant", [], ["c"])
    inner.attribute.append(onnx.helper.make_attribute("value", onnx.helper.make_tensor("t", 1, [1], [1.0])))
    inner.attribute[0].t.data_location = onnx.TensorProto.EXTERNAL
    branch = onnx.helper.make_graph([inner], "then", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    assert [one.node for one in sp.check_model(path).findings] == ["model", "w", "t", "t"]
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(FormatError, match="ONNX"):
        sp.check_model(path)
    with pytest.raises(ConfigError, match="expected one of onnx"):
        sp.check_model(path, targets=("xylo",))


@pytest.mark.parametrize("case", ["convolution", "recurrent", "residual"])
def test_our_own_onnx_files_pass(case, tmp_path):
    onnx_target.export(graphs.whole(case), tmp_path / "net.onnx")
    assert sp.check_model(tmp_path / "net.onnx").passes


@pytest.mark.parametrize("seed", range(40))
def test_a_random_supported_graph_passes_for_us(seed, tmp_path):
    found, how = random_nir(np.random.default_rng(seed), mixed=False)
    nir.write(tmp_path / "net.nir", found, compression=None)
    words = NirWords(how.dt, how.reset.value, how.compare.value, how.reset_timing.value)
    assert sp.check_model(tmp_path / "net.nir", words=words).findings == ()


@pytest.mark.parametrize("layers", [9, 10])
def test_a_chip_of_nine_cores_takes_nine_layers(layers):
    one = PopulationFacts(
        "n", (9,), Fire.BINARY, Reset.SUBTRACT, None, None, Leak(), None, False, SynapticOrder.NEW, 5, False
    )
    populations = tuple(replace(one, name=f"n{k}") for k in range(layers))
    synapses = tuple(
        SynapseFacts(f"s{k}", f"n{k}", "linear", 81, 81, 8, (9, 9), (1, 1), 0, False) for k in range(layers)
    )
    found = check_rules.findings("speck", ModelFacts(9, populations, synapses, ()))
    assert [one.rule for one in found] == ["at most 9 layers"] * (layers - 9)
    large = tuple(replace(one, stored=40 * 1024) for one in synapses[:3])
    found = check_rules.findings("speck", ModelFacts(9, populations[:3], large, ()))
    assert len(found) == 1, "two cores hold 64 Ki weights, so that a third layer finds none"
    assert check_rules.findings("speck", ModelFacts(9, populations[:2], large[:2], ())) == ()


def test_a_short_onnx_file_that_unpacks_to_much_is_refused(tmp_path):
    empty_nodes = b"\x0a\x00" * (1 << 23)
    length = b"\x80\x80\x80\x08"  # 1 << 24, seven bits a byte
    (tmp_path / "bomb.onnx").write_bytes(b"\x3a" + length + empty_nodes)
    with pytest.raises(FormatError, match="bytes of memory"):
        sp.check_model(tmp_path / "bomb.onnx")


def test_every_version_that_passes_is_one_that_the_runtime_loads(tmp_path):
    def loads(opset: int, ir: int) -> bool:
        value, out = (onnx.helper.make_tensor_value_info(name, 1, [2]) for name in "xy")
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
        opsets = [onnx.helper.make_opsetid("", opset)]
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir)
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
        assert sp.check_model(tmp_path / "net.onnx").passes
        return bool(onnxruntime.InferenceSession(model.SerializeToString()).get_inputs())

    assert all(loads(opset, 8) for opset in OPSETS)
    assert all(loads(18, ir) for ir in range(3, NEWEST_IR + 1))


def test_the_command_exits_by_what_it_finds(theirs, tmp_path):
    done = CliRunner().invoke(app, ["check", str(theirs), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output)["passes"] is True
    assert CliRunner().invoke(app, ["check", str(theirs), "--target", "speck"]).exit_code == 1
    with pytest.raises(ConfigError, match="--target"):
        sp.check_model(theirs, targets=("abacus",))
    with pytest.raises(DataError):
        sp.check_model(tmp_path / "none.nir")

"""ANNs from ONNX: what is read gives ONNX Runtime's answers; balanced, its rates are the activations."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.reference import run_float
from exporter.sources.ann_balance import activations, balanced, predictions
from exporter.sources.onnx_ann import Relu, read_ann
from runtime.coding import encode_input
from runtime.errors import DataError, FormatError, SpikepressError, UnsupportedError
from runtime.spec import Coding, InputSpec

SHAPE = (2, 9, 8)


class Net:
    """Collects nodes of a chain; ``model`` closes it."""

    def __init__(self, shape, seed=0):
        self.rng, self.shape, self.nodes, self.tensors = np.random.default_rng(seed), shape, [], []
        self.value = "x"

    def tensor(self, *sides, low=-0.5, high=0.5):
        name = f"w{len(self.tensors)}"
        values = self.rng.uniform(low, high, sides).astype(np.float32)
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind, *inputs, **options):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.value, *inputs], [name], **options))
        self.value = name
        return self

    def model(self):
        graph = helper.make_graph(
            self.nodes,
            "ann",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", *self.shape))],
            [helper.make_tensor_value_info(self.value, TensorProto.FLOAT, None)],
            initializer=self.tensors,
        )
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)


def mlp(seed=0):
    net = Net((20,), seed)
    net.add("Gemm", net.tensor(16, 20), net.tensor(16), transB=1).add("Relu").add("Dropout")
    net.add("MatMul", net.tensor(16, 12)).add("Add", net.tensor(12)).add("Relu")
    return net.add("Gemm", net.tensor(12, 4)).add("Softmax", axis=-1)


def cnn(seed=0):
    net = Net(SHAPE, seed)
    net.add("Conv", net.tensor(4, 1, 3, 3), net.tensor(4), group=2, pads=[1, 1, 1, 1]).add(
        "BatchNormalization",
        net.tensor(4, low=0.5, high=1.5),
        net.tensor(4),
        net.tensor(4),
        net.tensor(4, low=0.5, high=1.5),
    )
    net.add("Relu").add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Conv", net.tensor(6, 4, 3, 3), strides=[1, 2]).add("Relu")
    net.add("AveragePool", kernel_shape=[2, 1], strides=[2, 1]).add("Flatten")
    return net.add("Gemm", net.tensor(5, 6), net.tensor(5), transB=1)


def row(seed=0):
    net = Net((3, 20), seed)
    net.add("Conv", net.tensor(4, 3, 5), net.tensor(4), strides=[2], pads=[2, 2]).add("Relu")
    net.add("GlobalAveragePool").add("Flatten")
    return net.add("Gemm", net.tensor(4, 3))


NETS = {"mlp": mlp, "cnn": cnn, "row": row}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_answers_as_onnx_runtime_does(name, seed, tmp_path):
    document = NETS[name](seed).model()
    (tmp_path / "ann.onnx").write_bytes(document.SerializeToString())
    ann = read_ann(tmp_path / "ann.onnx")
    sides = [d.dim_value for d in document.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = np.random.default_rng(seed).uniform(0, 1, (30, *sides)).astype(np.float32)
    session = onnxruntime.InferenceSession(document.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": x})
    ours = activations(ann, x.reshape(30, *ann.shape).astype(np.float64))[ann.layers[-1].name]
    if name == "mlp":  # it ends in a softmax there
        assert np.array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))
    else:
        assert np.allclose(ours, theirs, atol=1e-4)
    assert np.array_equal(predictions(ann, x.reshape(30, *ann.shape), batch=7), ours.argmax(axis=1))


def spec_of(ann, n_steps):
    return InputSpec(ann.shape, Coding.DIRECT, n_steps, bits=8, scale=1 / 255, constant=True)


@pytest.mark.parametrize("bits", [1, 4])
def test_rates_come_to_the_activations(bits, tmp_path):
    (tmp_path / "ann.onnx").write_bytes(mlp(1).model().SerializeToString())
    ann = read_ann(tmp_path / "ann.onnx")
    raw = np.random.default_rng(2).integers(0, 256, (40, 20))
    steps = 400
    graph = balanced(ann, raw, spec_of(ann, steps), payload_bits=bits, percentile=100.0)
    seen = activations(ann, raw / 255)
    found = run_float(graph, encode_input(raw, spec_of(ann, steps)))
    for layer in ann.layers:
        if isinstance(layer, Relu):
            (worth,) = next(n for n in graph.nodes if n.name == layer.name).model.threshold
            rates = found.spikes[layer.name].mean(axis=0) * worth
            assert np.abs(rates - seen[layer.name].reshape(40, -1)).max() < 0.05 * seen[layer.name].max()
    wanted = seen[ann.layers[-1].name]
    assert np.abs(found.scores / steps - wanted).max() < 0.05 * np.abs(wanted).max()
    if bits == 4:
        once = run_float(graph, encode_input(raw, spec_of(ann, 1)))
        assert np.mean(once.predictions == wanted.argmax(axis=1)) > 0.8


def saved(net, tmp_path, change=None):
    document = net.model()
    if change is not None:
        change(document)
    path = tmp_path / "ann.onnx"
    path.write_bytes(document.SerializeToString())
    return path


def external(document):
    tensor = document.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


def lying(document):
    document.graph.initializer[0].dims[0] = 1 << 40


def nan(document):
    tensor = document.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def skip(document):
    document.graph.node[3].input[0] = "x"


def _conv(**options):
    net = Net(SHAPE)
    return net.add("Conv", net.tensor(4, 2, 3, 3), **options)


def _short():
    net = Net((7,))
    return net.add("Gemm", net.tensor(4, 6), transB=1)


REFUSED = {
    "a tensor outside the file": (mlp, external, "kept elsewhere"),
    "a tensor larger than it is": (mlp, lying, "expected at most"),
    "no number": (mlp, nan, "finite"),
    "no chain": (mlp, skip, "expected v2 alone"),
    "an operator": (lambda: mlp().add("Sigmoid"), None, "no such link"),
    "a sum of maps": (lambda: Net((4,)).add("Add", "x"), None, "a chain"),
    "uneven padding": (lambda: _conv(pads=[1, 0, 0, 0]), None, "same on both sides"),
    "a window larger than its map": (lambda: _conv(dilations=[9, 9]), None, "windows that leave"),
    "an attribute of another type": (lambda: _conv(strides=1.5), None, "cannot be read"),
    "another shape": (_short, None, "expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_chain_is_refused_by_its_node(case, tmp_path):
    make, change, found = REFUSED[case]
    with pytest.raises((UnsupportedError, FormatError), match=found):
        read_ann(saved(make(), tmp_path, change))


def test_a_chain_must_end_in_weights(tmp_path):
    ann = read_ann(saved(mlp().add("Relu"), tmp_path))
    with pytest.raises(UnsupportedError, match="found it last"):
        balanced(ann, np.zeros((2, 20), np.int64), spec_of(ann, 1))


def test_no_file_and_no_document_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_ann(tmp_path / "none.onnx")
    (tmp_path / "none.onnx").write_bytes(b"\xff" * 40)
    with pytest.raises(FormatError, match="no ONNX document"):
        read_ann(tmp_path / "none.onnx")


@pytest.mark.parametrize("seed", range(60))
def test_damaged_documents_end_in_a_sentence(seed, tmp_path):
    rng = np.random.default_rng(seed)
    data = bytearray(cnn(seed).model().SerializeToString())
    for place in rng.integers(0, len(data), 6):
        data[place] = rng.integers(256)
    (tmp_path / "ann.onnx").write_bytes(bytes(data[: int(rng.integers(len(data) // 2, len(data) + 1))]))
    try:
        ann = read_ann(tmp_path / "ann.onnx")
    except SpikepressError as error:
        told = str(error)
    else:
        told = ""
        with np.errstate(all="ignore"):
            activations(ann, np.zeros((1, *ann.shape)))
    assert "\n" not in told

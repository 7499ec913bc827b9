"""ONNX files that are broken on purpose, each by one rule and one seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.builders.nir_nets import pick

Rng = np.random.Generator
LIES = (-1, 0, 1 << 31, 1 << 62, -(1 << 62))


def write_broken(path: Path, seed: int) -> str:
    """Writes one broken file; the name of the rule that broke it."""
    rng = np.random.default_rng([seed, 7])
    name = sorted(RULES)[seed % len(RULES)]
    model = _network(rng)
    RULES[name](model, rng)
    content = bytearray(model.SerializeToString())
    if name == "cut":
        content = content[: int(rng.integers(0, len(content)))]
    elif name == "bytes":
        for _ in range(int(rng.integers(1, 12))):
            content[int(rng.integers(0, len(content)))] = int(rng.integers(0, 256))
    path.write_bytes(bytes(content))
    return name


def _network(rng: Rng) -> onnx.ModelProto:
    """Convolution, pool, flatten, linear layer and a branch, sound."""
    channels, classes = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    weights = [
        helper.make_tensor("k", 1, [channels, 1, 3, 3], rng.random(channels * 9)),
        helper.make_tensor("w", 1, [channels * 9, classes], rng.random(channels * 9 * classes)),
    ]
    inner = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("t", 1, [1], [1.0]))
    branch = helper.make_graph([inner], "then", [], [helper.make_tensor_value_info("c", 1, [1])])
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], name="conv"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("AveragePool", ["b"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "w"], ["m"], name="linear"),
        helper.make_node("If", ["yes"], ["i"], name="branch", then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["m", "i"], ["y"], name="add"),
    ]
    weights.append(helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    ends = [helper.make_tensor_value_info(name, 1, shape) for name, shape in
            (("x", [1, 1, 8, 8]), ("y", [1, classes]))]  # fmt: skip
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def dims(model: onnx.ModelProto, rng: Rng) -> None:
    tensor = pick(rng, list(model.graph.initializer[:2]))
    tensor.dims[int(rng.integers(0, len(tensor.dims)))] = pick(rng, LIES)


def types(model: onnx.ModelProto, rng: Rng) -> None:
    pick(rng, list(model.graph.initializer[:2])).data_type = int(pick(rng, (0, 2, 7, 8, 16, 99)))


def outside(model: onnx.ModelProto, rng: Rng) -> None:
    branch = model.graph.node[5].attribute[0].g.node[0].attribute[0].t
    tensor = pick(rng, [*model.graph.initializer, branch])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(pick(rng, ("/dev/zero", "../../x", "net.bin", "\0"))))


def doubled(model: onnx.ModelProto, rng: Rng) -> None:
    pick(rng, list(model.graph.node[1:])).output[0] = str(pick(rng, ("a", "x", "w")))


def cycles(model: onnx.ModelProto, rng: Rng) -> None:
    model.graph.node[0].input[0] = str(pick(rng, ("a", "m", "y")))


def unknown(model: onnx.ModelProto, rng: Rng) -> None:
    pick(rng, list(model.graph.node)).op_type = str(pick(rng, ("Nothing", "", "Re\nlu", "x" * 5000)))


def domains(model: onnx.ModelProto, rng: Rng) -> None:
    pick(rng, list(model.graph.node)).domain = str(pick(rng, ("com.example", "\n", "ai.onnx.ml", "x" * 9000)))


def versions(model: onnx.ModelProto, rng: Rng) -> None:
    if rng.random() < 0.5:
        model.ir_version = pick(rng, LIES)
    else:
        model.opset_import[0].version = pick(rng, LIES)


def attributes(model: onnx.ModelProto, rng: Rng) -> None:
    pool = model.graph.node[2].attribute[int(rng.integers(0, 2))]
    pool.ints[int(rng.integers(0, 2))] = pick(rng, LIES)


def missing(model: onnx.ModelProto, rng: Rng) -> None:
    del model.graph.node[int(rng.integers(0, 6))]


def many(model: onnx.ModelProto, rng: Rng) -> None:
    model.graph.node.extend([model.graph.node[1]] * int(pick(rng, (20_000, 60_000))))


def deep(model: onnx.ModelProto, rng: Rng) -> None:
    node = model.graph.node[5]
    for _ in range(int(pick(rng, (17, 22, 28)))):
        graph = helper.make_graph([node], "g", [], [])
        node = helper.make_node("If", ["yes"], ["i"], then_branch=graph)
    model.graph.node[5].CopyFrom(node)


def shaped(model: onnx.ModelProto, rng: Rng) -> None:
    """A tensor that a few bytes say is huge, made where shapes are inferred."""
    size = helper.make_tensor("size", onnx.TensorProto.INT64, [1], [int(pick(rng, LIES))])
    model.graph.initializer.append(size)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["huge"]))
    model.graph.node[-1].input[1] = "huge"


RULES: dict[str, Callable[[onnx.ModelProto, Rng], None]] = {
    "dims": dims,
    "types": types,
    "outside": outside,
    "doubled": doubled,
    "cycles": cycles,
    "unknown": unknown,
    "domains": domains,
    "versions": versions,
    "attributes": attributes,
    "missing": missing,
    "many": many,
    "deep": deep,
    "shaped": shaped,
    "bytes": lambda model, rng: None,
    "cut": lambda model, rng: None,
}

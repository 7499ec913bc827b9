"""A feed-forward ANN in ONNX: a chain of weights, ReLU and pools, read into layers that a graph is made of.

Files are not trusted: size, nodes and where tensors lie are checked before anything is unpacked, and the file
is parsed in a forked process first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from exporter.graph import BatchNorm, Conv, Flatten, Linear, Node, Pool, PoolKind, Reals
from runtime.errors import DataError, FormatError, UnsupportedError
from runtime.rehearsal import rehearse

MOST_BYTES = 1 << 28
SMALL = 1 << 20
"""Bytes that unpack to little memory, whatever they are."""
MOST_NODES = 2_000
MOST_MEMORY = 1 << 30
MOST_VALUES = 1 << 22
"""Of one layer's output."""
INPUT = "input"
PASSED = ("Identity", "Dropout", "Softmax", "LogSoftmax")
"""Nodes that change nothing, or no prediction where they stand last."""


@dataclass(frozen=True)
class Relu:
    """``max(x, 0)``: where a population of neurons will stand."""

    name: str
    source: str


Layer = Linear | Conv | BatchNorm | Pool | Flatten | Relu


@dataclass(frozen=True)
class Ann:
    """A chain of layers; ``shape`` of one input without the batch."""

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]


def read_ann(path: str | Path) -> Ann:
    """The network in an ONNX file. FormatError for a damaged file, UnsupportedError naming a node that is no
    link of such a chain, DataError for a file that is not there."""
    place = Path(path)
    if not place.is_file():
        raise DataError(f"{place}: found no such file, expected an ONNX file")
    size = place.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise FormatError(f"{place}: found {size} bytes, expected 1 to {MOST_BYTES}")
    broken = rehearse(lambda: _rehearsed(place, size), size, library="ONNX", most_bytes=MOST_MEMORY)
    if broken is not None:
        raise FormatError(f"{place}: found {broken}, expected an ONNX file")
    return _chain(place, _model(place).graph)


def _rehearsed(place: Path, size: int) -> None:
    """Raises where the parser gave up on a file large enough that memory may have been what it lacked."""
    try:
        _model(place)
    except FormatError:
        if size > SMALL:
            raise


def _model(place: Path) -> Any:
    try:
        return onnx.ModelProto.FromString(place.read_bytes())
    except Exception as error:
        # protobuf raises classes of its own, which differ by its version
        said = " ".join(str(error).split())[:100]
        raise FormatError(f"{place}: found no ONNX document ({said}), expected one") from error


def _chain(place: Path, graph: Any) -> Ann:
    if not 0 < len(graph.node) <= MOST_NODES:
        raise FormatError(f"{place}: found {len(graph.node)} nodes, expected 1 to {MOST_NODES}")
    reading = _Reading(place, graph)
    for number, node in enumerate(graph.node):
        reading.take(number, node)
    return Ann(reading.shape, tuple(reading.layers))


class _Reading:
    """The chain so far: ``value`` is the name of what came last, ``sides`` its shape without the batch."""

    def __init__(self, place: Path, graph: Any) -> None:
        self.place = place
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [one for one in graph.input if one.name not in self.tensors]
        if len(inputs) != 1:
            raise UnsupportedError(f"{place}: found {len(inputs)} inputs, expected one")
        dims = inputs[0].type.tensor_type.shape.dim
        sides = tuple(int(dim.dim_value) for dim in dims[1:])
        if not 1 <= len(sides) <= 3 or not all(0 < side < 1 << 16 for side in sides):
            raise UnsupportedError(f"{place}: found input of shape {sides}, expected (batch, 1 to 3 sides)")
        if math.prod(sides) > MOST_VALUES:
            raise UnsupportedError(f"{place}: found an input of shape {sides}, expected fewer values")
        self.value = inputs[0].name
        self.shape = self.sides = (sides[0], 1, sides[1]) if len(sides) == 2 else sides
        self.layers: list[Layer] = []

    @property
    def source(self) -> str:
        return self.layers[-1].name if self.layers else INPUT

    def take(self, number: int, node: Any) -> None:
        """One node: a tensor that is held, or the next link."""
        if node.op_type == "Constant":
            self._constant(node)
            return
        name = f"{node.op_type.lower()}{number}"
        said = f"{self.place}: {node.name or name} ({node.op_type})"
        heard = [one for one in node.input if one and one not in self.tensors]
        if heard != [self.value] or node.domain not in ("", "ai.onnx"):
            raise UnsupportedError(f"{said}: found inputs {heard}, expected {self.value} alone: a chain")
        if node.op_type not in PASSED:
            if node.op_type not in LINKS:
                raise UnsupportedError(f"{said}: found no such link, expected one of {', '.join(LINKS)}")
            try:
                self._append(LINKS[node.op_type](_Node(self, node, name)))
            except _RefusedError as error:
                raise UnsupportedError(f"{said}: {error}") from None
            except Exception as error:
                # attributes of other types than the operator has end in most of Python's exceptions
                found = " ".join(str(error).split())[:100] or type(error).__name__
                raise FormatError(f"{said}: found what cannot be read ({found}), expected a link") from error
        self.value = node.output[0]

    def _append(self, layer: Layer | None) -> None:
        if layer is None:
            return
        if layer.name == self.source:
            self.layers[-1] = layer
        else:
            self.layers.append(layer)
        self.sides = _sides_after(layer, self.sides)

    def _constant(self, node: Any) -> None:
        for attribute in node.attribute:
            if attribute.name == "value":
                self.tensors[node.output[0]] = attribute.t

    def array(self, name: str) -> NDArray[Any]:
        """A tensor that the file holds itself; ``_RefusedError`` where it does not, or lies of its size."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise _RefusedError(f"found {name!r} kept elsewhere, expected numbers in the file")
        if any(dim < 0 for dim in tensor.dims) or math.prod(tensor.dims) > MOST_BYTES:
            raise _RefusedError(f"found {name!r} of {list(tensor.dims)}, expected at most {MOST_BYTES}")
        try:
            found = numpy_helper.to_array(tensor)
        except Exception as error:
            said = " ".join(str(error).split())[:100]
            raise _RefusedError(f"found {name!r} that cannot be read ({said}), expected numbers") from error
        if found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            raise _RefusedError(f"found {name!r} that is not of finite numbers, expected them")
        return found


class _RefusedError(Exception):
    """What a node has that a chain cannot; becomes an UnsupportedError with the node's name."""


@dataclass(frozen=True)
class _Node:
    """One ONNX node as its maker sees it."""

    reading: _Reading
    node: Any
    name: str

    @property
    def source(self) -> str:
        return self.reading.source

    @property
    def sides(self) -> tuple[int, ...]:
        return self.reading.sides

    def weights(self, place: int) -> Reals | None:
        """The tensor at an input's place in float64; None where it is left out."""
        if place >= len(self.node.input) or not self.node.input[place]:
            return None
        return self.reading.array(self.node.input[place]).astype(np.float64)

    def needed(self, place: int) -> Reals:
        found = self.weights(place)
        if found is None:
            raise _RefusedError(f"found no input {place}, expected a tensor")
        return found

    def option(self, name: str, default: Any) -> Any:
        for attribute in self.node.attribute:
            if attribute.name == name:
                return onnx.helper.get_attribute_value(attribute)
        return default

    def pair(self, name: str, default: int) -> tuple[int, int]:
        """An option of one or two axes; maps of one row have height 1."""
        found = [int(n) for n in self.option(name, [default] * 2)]
        first = 1 if name != "pads" else 0
        found = [first, *found] if len(found) == 1 else found
        if len(found) != 2 or min(found) < (0 if name == "pads" else 1) or max(found) > 1 << 16:
            raise _RefusedError(f"found {name} {found}, expected one or two numbers")
        return found[0], found[1]

    def padding(self) -> tuple[int, int]:
        pads = [int(n) for n in self.option("pads", [0] * 4)]
        half = len(pads) // 2
        if pads[:half] != pads[half:] or self.option("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise _RefusedError(f"found pads {pads}, expected the same on both sides")
        found = [0, *pads[:half]] if half == 1 else pads[:half]
        if len(found) != 2 or not all(0 <= n < 1 << 12 for n in found):
            raise _RefusedError(f"found pads {pads}, expected two or four numbers")
        return found[0], found[1]


def _flat(node: _Node, count: int) -> None:
    if node.sides != (count,):
        raise _RefusedError(f"found weights for {count} inputs of one axis, expected {node.sides}")


def _gemm(node: _Node) -> Layer:
    if node.option("transA", 0) or node.option("alpha", 1.0) != 1.0 or node.option("beta", 1.0) != 1.0:
        raise _RefusedError("found transA, alpha or beta, expected none")
    weight = node.needed(1)
    if weight.ndim != 2:
        raise _RefusedError(f"found weights of {weight.shape}, expected a matrix")
    weight = weight if node.option("transB", 0) else weight.T
    _flat(node, weight.shape[1])
    bias = node.weights(2)
    return Linear(node.name, node.source, np.ascontiguousarray(weight), _per_output(bias, len(weight)))


def _per_output(bias: Reals | None, count: int) -> Reals | None:
    if bias is None:
        return None
    if bias.size not in (1, count):
        raise _RefusedError(f"found a bias of {bias.shape}, expected {count} numbers")
    return np.broadcast_to(bias.ravel(), (count,)).copy()


def _matmul(node: _Node) -> Layer:
    weight = node.needed(1)
    if weight.ndim != 2:
        raise _RefusedError(f"found weights of {weight.shape}, expected a matrix")
    _flat(node, weight.shape[0])
    return Linear(node.name, node.source, np.ascontiguousarray(weight.T))


def _add(node: _Node) -> Layer:
    """A bias on the weights before it."""
    last = node.reading.layers[-1] if node.reading.layers else None
    if not isinstance(last, Linear | Conv) or last.bias is not None:
        raise _RefusedError("found a sum, expected one of a bias right behind weights")
    held = node.weights(0) if node.node.input[0] in node.reading.tensors else node.needed(1)
    bias = _per_output(held, len(last.weight))
    if isinstance(last, Linear):
        return Linear(last.name, last.source, last.weight, bias)
    return Conv(
        last.name,
        last.source,
        last.weight,
        last.stride,
        last.padding,
        last.dilation,
        last.groups,
        bias,
    )


def _conv(node: _Node) -> Layer:
    weight = node.needed(1)
    weight = weight[:, :, None, :] if weight.ndim == 3 else weight
    groups = int(node.option("group", 1))
    if weight.ndim != 4 or len(node.sides) != 3 or groups < 1 or len(weight) % groups:
        raise _RefusedError(
            f"found weights of {weight.shape} in {groups} groups, expected a convolution of maps"
        )
    if weight.shape[1] * groups != node.sides[0]:
        raise _RefusedError(f"found weights of {weight.shape} on {node.sides}, expected as many channels")
    return Conv(
        node.name,
        node.source,
        weight,
        stride=node.pair("strides", 1),
        padding=node.padding(),
        dilation=node.pair("dilations", 1),
        groups=groups,
        bias=_per_output(node.weights(2), len(weight)),
    )


def _norm(node: _Node) -> Layer:
    gain, offset, mean, variance = (node.needed(k).ravel() for k in (1, 2, 3, 4))
    if any(len(one) != node.sides[0] for one in (gain, offset, mean, variance)):
        raise _RefusedError(f"found statistics of {len(gain)} channels, expected {node.sides[0]}")
    spread = variance + float(node.option("epsilon", 1e-5))
    if not (spread > 0).all():
        raise _RefusedError("found a variance below 0, expected none")
    factor = gain / np.sqrt(spread)
    return BatchNorm(node.name, node.source, factor, offset - mean * factor)


def _pool(kind: PoolKind) -> Callable[[_Node], Layer]:
    def made(node: _Node) -> Layer:
        padding = node.padding()
        if node.option("ceil_mode", 0) or (kind is PoolKind.AVERAGE and any(padding)):
            raise _RefusedError("found ceil_mode, or padding of an average, expected neither")
        if node.option("dilations", None) and set(node.option("dilations", [1])) != {1}:
            raise _RefusedError("found dilations, expected none")
        kernel = node.pair("kernel_shape", 1)
        return Pool(node.name, node.source, kind, kernel, node.pair("strides", 1), padding)

    return made


def _whole(node: _Node) -> Layer:
    if len(node.sides) != 3:
        raise _RefusedError(f"found it on {node.sides}, expected maps")
    side = (node.sides[1], node.sides[2])
    return Pool(node.name, node.source, PoolKind.AVERAGE, side, side)


def _flatten(node: _Node) -> Layer | None:
    if int(node.option("axis", 1)) != 1:
        raise _RefusedError("found another axis, expected 1")
    return None if len(node.sides) == 1 else Flatten(node.name, node.source)


def _reshape(node: _Node) -> Layer | None:
    wanted = [int(n) for n in node.needed(1).ravel()]
    if len(wanted) != 2 or wanted[1] not in (-1, math.prod(node.sides)):
        raise _RefusedError(f"found shape {wanted}, expected all axes but the batch in one")
    return None if len(node.sides) == 1 else Flatten(node.name, node.source)


LINKS: Mapping[str, Callable[[_Node], Layer | None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Conv": _conv,
    "BatchNormalization": _norm,
    "Relu": lambda node: Relu(node.name, node.source),
    "MaxPool": _pool(PoolKind.MAX),
    "AveragePool": _pool(PoolKind.AVERAGE),
    "GlobalAveragePool": _whole,
    "Flatten": _flatten,
    "Reshape": _reshape,
}


def _sides_after(layer: Layer, sides: tuple[int, ...]) -> tuple[int, ...]:
    from exporter.shapes import window_shape

    match layer:
        case Linear():
            return (len(layer.weight),)
        case Conv() | Pool():
            kernel = layer.kernel if isinstance(layer, Pool) else layer.weight.shape[2:]
            dilation = (1, 1) if isinstance(layer, Pool) else layer.dilation
            if len(sides) != 3:
                raise _RefusedError(f"found it on {sides}, expected maps")
            size, window = (sides[1], sides[2]), (kernel[0], kernel[1])
            out = window_shape(size, window, layer.stride, layer.padding, dilation)
            channels = sides[0] if isinstance(layer, Pool) else len(layer.weight)
            if min(out) < 1 or channels * out[0] * out[1] > MOST_VALUES:
                raise _RefusedError(f"found windows that leave {out} of {sides}, expected a map")
            return (channels, *out)
        case Flatten():
            return (math.prod(sides),)
    return sides


def as_node(layer: Layer) -> Node:
    """A layer that is a graph's node already."""
    assert not isinstance(layer, Relu)
    return layer

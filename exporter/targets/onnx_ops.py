"""Builds lists of ONNX nodes with stable names; constants of all scopes are stored once, outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Constants:
    """Initializers of the main graph, the same array stored once; loops see them as outer names."""

    def __init__(self) -> None:
        self.tensors: list[TensorProto] = []
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def store(self, values: NDArray[Any]) -> str:
        """Name of a constant with these values."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._names:
            self._names[key] = f"constant_{len(self.tensors)}"
            self.tensors.append(numpy_helper.from_array(np.asarray(values, order="C"), self._names[key]))
        return self._names[key]

    def int32(self, values: int | NDArray[Any]) -> str:
        return self.store(np.asarray(values, np.int32))

    def int64(self, values: list[int]) -> str:
        return self.store(np.asarray(values, np.int64))


class Scope:
    """Nodes of the main graph or of a loop's body, in order."""

    def __init__(self, prefix: str, constants: Constants) -> None:
        self.prefix = prefix
        self.constants = constants
        self.nodes: list[onnx.NodeProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        name = f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def named(self, value: str, name: str) -> str:
        """The same value under a name of our choice: what a graph gives out."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{self.prefix}{name}"))
        return name

    def cast(self, value: str, to: int) -> str:
        return self.op("Cast", value, to=to)

    def floor_shift(self, value: str, shift: int) -> str:
        """``value >> shift`` rounding down, on int32: ``(v - mod(v, 2^k)) / 2^k``; 3 nodes.

        ONNX integer division truncates, so the remainder (never negative for a positive divisor) goes first.
        """
        power = self.constants.int32(1 << shift)
        rest = self.op("Mod", value, power)
        return self.op("Div", self.op("Sub", value, rest), power)

    def rounding_shift(self, value: str, shift: int) -> str:
        """``(value + 2^(shift-1)) >> shift``."""
        half = self.constants.int32(1 << (shift - 1))
        return self.floor_shift(self.op("Add", value, half), shift)

    def reshaped(self, value: str, shape: tuple[int, ...]) -> str:
        """(samples, ...) as (samples, *shape)."""
        return self.op("Reshape", value, self.constants.int64([0, *shape]))


def per_neuron(values: tuple[int, ...] | NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """One value, one per channel or one per neuron, shaped to broadcast over (samples, *shape)."""
    array = np.asarray(values, np.int32)
    if len(array) == 1:
        return array.reshape(())
    if len(array) == shape[0]:
        return array.reshape(-1, *([1] * (len(shape) - 1)))
    return array.reshape(shape)

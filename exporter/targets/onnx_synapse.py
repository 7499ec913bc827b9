"""Synapses, pools and sums in stock operators that keep whole numbers exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from exporter.graph import Conv, Linear, Pool, PoolKind, Scale, Synapse
from exporter.targets.onnx_ops import Scope, per_neuron
from runtime.errors import UnsupportedError

EXACT_FLOAT32 = 1 << 24


class Synapses:
    """Makes synapses in any scope; weights are stored in their own width and widened once, outside."""

    def __init__(self, outside: Scope) -> None:
        self.outside = outside
        self._widened: dict[str, str] = {}

    def current(
        self, scope: Scope, node: Synapse, x: str, payloads: tuple[int, int], shape: tuple[int, ...]
    ) -> str:
        """Name of the current (samples, *shape) of payloads ``x``, which lie within ``payloads``."""
        match node:
            case Linear():
                acc = scope.op("MatMul", x, self._weights(node, node.weight.T))
            case Conv():
                acc = self._conv(scope, node, x, payloads)
            case Scale():
                acc = scope.op("Mul", x, self._weights(node, per_neuron(node.weight, shape)))
        if node.shift < 0:
            return scope.rounding_shift(acc, -node.shift)
        if node.shift > 0 and isinstance(node, Conv):
            return scope.op("Mul", acc, scope.constants.int32(1 << node.shift))
        return acc

    def _weights(self, node: Synapse, weight: NDArray[Any]) -> str:
        """Weights in int32, already shifted to the left where the synapse asks for it."""
        if node.name not in self._widened:
            name = self.outside.cast(self.outside.constants.store(narrowed(weight)), TensorProto.INT32)
            if node.shift > 0:
                name = self.outside.op("Mul", name, self.outside.constants.int32(1 << node.shift))
            self._widened[node.name] = name
        return self._widened[node.name]

    def _conv(self, scope: Scope, node: Conv, x: str, payloads: tuple[int, int]) -> str:
        """Convolution in float32 over slices of the payload that keep every partial sum below 2^24."""
        size = int(np.abs(node.weight).astype(np.int64).sum(axis=(1, 2, 3)).max())
        largest = max(-payloads[0], payloads[1])
        if size * largest < EXACT_FLOAT32:
            return self._conv_float(scope, node, x)
        bits = (EXACT_FLOAT32 // max(size, 1)).bit_length() - 1
        if bits < 1:
            raise UnsupportedError(
                f"{node.name}: found weights whose sizes sum to {size} behind one output, expected below 2^23"
            )
        total, place = None, 0
        while largest > 0:
            last = size * largest < EXACT_FLOAT32
            part = x if last else scope.op("Mod", x, scope.constants.int32(1 << bits))
            acc = self._conv_float(scope, node, part)
            if place:
                acc = scope.op("Mul", acc, scope.constants.int32(1 << place))
            total = acc if total is None else scope.op("Add", total, acc)
            if last:
                break
            x, place = scope.floor_shift(x, bits), place + bits
            largest = (largest >> bits) + (1 if payloads[0] < 0 else 0)
        assert total is not None
        return total

    def _conv_float(self, scope: Scope, node: Conv, x: str) -> str:
        if node.name not in self._widened:
            stored = self.outside.constants.store(narrowed(node.weight))
            self._widened[node.name] = self.outside.cast(stored, TensorProto.FLOAT)
        real = scope.op(
            "Conv",
            scope.cast(x, TensorProto.FLOAT),
            self._widened[node.name],
            strides=list(node.stride),
            pads=[*node.padding, *node.padding],
            dilations=list(node.dilation),
            group=node.groups,
            kernel_shape=list(node.weight.shape[2:]),
        )
        return scope.cast(real, TensorProto.INT32)


def narrowed(weight: NDArray[Any]) -> NDArray[Any]:
    """Whole weights in the narrowest of int8, int16 and int32 that holds them."""
    for kind in (np.int8, np.int16):
        limits = np.iinfo(kind)
        if limits.min <= weight.min() and weight.max() <= limits.max:
            return weight.astype(kind)
    return weight.astype(np.int32)


def pooled(scope: Scope, node: Pool, x: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    """Sum of windows in int32, or their maximum; ``shapes`` before and after."""
    if node.kind is PoolKind.SUM:
        return _summed(scope, node, x, shapes)
    # float64 holds every int32, and MaxPool takes no int32.
    real = scope.op(
        "MaxPool",
        scope.cast(x, TensorProto.DOUBLE),
        kernel_shape=list(node.kernel),
        strides=list(node.stride),
        pads=[*node.padding, *node.padding],
    )
    return scope.cast(real, TensorProto.INT32)


def _summed(scope: Scope, node: Pool, x: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    (_, height, width), (channels, rows, columns) = shapes
    kh, kw = node.kernel
    if (rows * kh, columns * kw) != (height, width):
        ends = scope.constants.int64([rows * kh, columns * kw])
        x = scope.op("Slice", x, scope.constants.int64([0, 0]), ends, scope.constants.int64([2, 3]))
    split = scope.reshaped(x, (channels, rows, kh, columns, kw))
    return scope.op("ReduceSum", split, scope.constants.int64([3, 5]), keepdims=0)

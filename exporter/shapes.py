"""The shape of every node and what flows out of it: events (payloads) or currents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from exporter.graph import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Scale,
)
from runtime.errors import ModelError, UnsupportedError


class Signal(Enum):
    """What an edge carries."""

    EVENTS = "events"
    CURRENTS = "currents"


@dataclass(frozen=True)
class Flow:
    """Shape of one node's output without the sample axis, and what it carries."""

    shape: tuple[int, ...]
    signal: Signal


def flows(graph: Graph) -> dict[str, Flow]:
    """The ``Flow`` out of every node; ``ModelError`` where shapes or kinds do not meet.

    Nodes must stand in order, delayed edges aside (``exporter.check`` has made sure).
    """
    found: dict[str, Flow] = {}
    late: list[Linear] = []
    for node in graph.nodes:
        found[node.name] = flow(node, found)
        if isinstance(node, Linear) and node.delay > 0:
            late.append(node)
    for node in late:
        _linear(node, found[node.source])
    return found


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Output shape of every node by name, without the sample axis."""
    return {name: flow.shape for name, flow in flows(graph).items()}


def window_shape(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """Rows and columns of windows that fit in a map of ``size``."""
    rows, columns = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return rows, columns


def flow(node: Node, found: Mapping[str, Flow]) -> Flow:
    """What comes out of a node; of a delayed one without a look at what it reads: that may stand after it."""
    if isinstance(node, Linear) and node.delay > 0:
        return Flow((int(node.weight.shape[0]),), Signal.CURRENTS)
    if isinstance(node, Input):
        return Flow(tuple(node.spec.shape), Signal.EVENTS)
    if isinstance(node, Add):
        return _add(node, [found[name] for name in node.sources])
    rule = RULES[type(node)]
    return rule(node, found[node.source])


def _expect(node: Node, source: Flow, signal: Signal) -> None:
    if source.signal is not signal:
        raise UnsupportedError(
            f"{node.name}: found {source.signal.value} coming into a {type(node).__name__}, "
            f"expected {signal.value}"
        )


def _linear(node: Linear, source: Flow) -> Flow:
    _expect(node, source, Signal.EVENTS)
    if source.shape != (int(node.weight.shape[1]),):
        raise ModelError(
            f"{node.name}: found weights {node.weight.shape} on an input of shape {source.shape}, "
            f"expected (outputs, {math.prod(source.shape)}) on a flat input"
        )
    return Flow((int(node.weight.shape[0]),), Signal.CURRENTS)


def _conv(node: Conv, source: Flow) -> Flow:
    _expect(node, source, Signal.EVENTS)
    n_out, per_group, kh, kw = (int(n) for n in node.weight.shape)
    if len(source.shape) != 3 or source.shape[0] != per_group * node.groups or n_out % node.groups:
        raise ModelError(
            f"{node.name}: found weights {node.weight.shape} with {node.groups} groups on an input of shape "
            f"{source.shape}, expected (channels, height, width) with {per_group * node.groups} channels"
        )
    height, width = source.shape[1:]
    size = window_shape((height, width), (kh, kw), node.stride, node.padding, node.dilation)
    _fits(node, size, source)
    return Flow((n_out, *size), Signal.CURRENTS)


def _scale(node: Scale, source: Flow) -> Flow:
    _expect(node, source, Signal.EVENTS)
    if node.weight.size not in (source.shape[0], math.prod(source.shape)):
        raise ModelError(
            f"{node.name}: found {node.weight.size} weights on an input of shape {source.shape}, "
            "expected one per channel or one per neuron"
        )
    return Flow(source.shape, Signal.CURRENTS)


def _norm(node: BatchNorm, source: Flow) -> Flow:
    if node.gain.shape != (source.shape[0],) or node.offset.shape != (source.shape[0],):
        raise ModelError(
            f"{node.name}: found gain {node.gain.shape} and offset {node.offset.shape}, "
            f"expected both ({source.shape[0]},)"
        )
    return source


def _pool(node: Pool, source: Flow) -> Flow:
    if len(source.shape) != 3:
        raise ModelError(
            f"{node.name}: found an input of shape {source.shape}, expected (channels, height, width)"
        )
    if source.signal is Signal.CURRENTS and node.kind is not PoolKind.MAX:
        raise UnsupportedError(
            f"{node.name}: found {node.kind.value} pooling of currents, expected pooling of spikes or max"
        )
    if node.kind is not PoolKind.MAX and (node.kernel != node.stride or node.padding != (0, 0)):
        raise UnsupportedError(
            f"{node.name}: found {node.kind.value} pooling with kernel {node.kernel}, stride {node.stride}, "
            f"padding {node.padding}, expected stride equal to kernel and no padding"
        )
    if any(2 * p > k for p, k in zip(node.padding, node.kernel, strict=True)):
        raise ModelError(
            f"{node.name}: found padding {node.padding}, expected at most half of kernel {node.kernel}"
        )
    height, width = source.shape[1:]
    size = window_shape((height, width), node.kernel, node.stride, node.padding)
    _fits(node, size, source)
    return Flow((source.shape[0], *size), source.signal)


def _fits(node: Node, size: tuple[int, int], source: Flow) -> None:
    if min(size) < 1:
        raise ModelError(
            f"{node.name}: found an input of shape {source.shape}, expected at least one whole window in it"
        )


def _add(node: Add, incoming: list[Flow]) -> Flow:
    kinds, sizes = {flow.signal for flow in incoming}, {flow.shape for flow in incoming}
    if len(kinds) > 1:
        raise UnsupportedError(
            f"{node.name}: found spikes added to currents, expected a Scale synapse on the spikes first"
        )
    if len(incoming) < 2 or len(sizes) > 1:
        raise ModelError(
            f"{node.name}: found inputs of shapes {[flow.shape for flow in incoming]}, "
            "expected two or more equal shapes"
        )
    return incoming[0]


def _flatten(_: Flatten, source: Flow) -> Flow:
    return Flow((math.prod(source.shape),), source.signal)


def _neuron(node: Neuron, source: Flow) -> Flow:
    _expect(node, source, Signal.CURRENTS)
    return Flow(source.shape, Signal.EVENTS)


RULES: dict[type[Node], Callable[[Any, Flow], Flow]] = {
    Linear: _linear,
    Conv: _conv,
    Scale: _scale,
    BatchNorm: _norm,
    Pool: _pool,
    Flatten: _flatten,
    Neuron: _neuron,
}
"""How each kind of node with one source makes its flow from the one coming in."""

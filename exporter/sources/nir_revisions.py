"""Brings the nodes of older and newer NIR files to the form that the ``nir`` package reads.

Some files give a neuron's parameters as scalars beside arrays, leave out ``v_reset``, ``v_leak``, ``r``,
``w_in`` or a convolution's bias, or name a flattened graph's nodes ``outer.inner``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.errors import FormatError

MOST_NODES = 2_000
DEFAULTS: dict[str, dict[str, float | None]] = {
    "IF": {"r": None, "v_threshold": None, "v_reset": 0.0},
    "I": {"r": None},
    "LIF": {"tau": None, "r": 1.0, "v_leak": 0.0, "v_threshold": None, "v_reset": 0.0},
    "LI": {"tau": None, "r": 1.0, "v_leak": 0.0},
    "CubaLIF": {
        **{"tau_syn": None, "tau_mem": None, "r": 1.0, "v_leak": 0.0},
        **{"v_threshold": None, "v_reset": 0.0, "w_in": 1.0},
    },
    "CubaLI": {"tau_syn": None, "tau_mem": None, "r": 1.0, "v_leak": 0.0, "w_in": 1.0},
    "Threshold": {"threshold": None},
}
"""Parameters of each neuron, and what one that is left out stands for; None must be there."""


def revised(node: dict[str, Any], name: str = "graph") -> dict[str, Any]:
    """The node as the current revision writes it. ``FormatError`` names the node that cannot be."""
    kind = node.get("type")
    if not isinstance(kind, str):
        raise FormatError(f"found {name} without a type, expected one")
    if kind == "NIRGraph":
        return _graph(node, name)
    if kind in DEFAULTS:
        return _neuron(node, kind, name)
    if kind in ("Conv1d", "Conv2d") and "weight" in node:
        return _convolution(node, name)
    return node


def _graph(node: dict[str, Any], name: str) -> dict[str, Any]:
    nodes, edges = node.get("nodes"), node.get("edges")
    if not isinstance(nodes, dict) or not all(isinstance(one, dict) for one in nodes.values()):
        raise FormatError(f"found {name} without nodes, expected them in groups")
    if len(nodes) > MOST_NODES:
        raise FormatError(f"found {len(nodes)} nodes in {name}, expected at most {MOST_NODES}")
    if isinstance(edges, np.ndarray) and edges.size == 0:
        edges = []
    if not isinstance(edges, list):
        raise FormatError(f"found {name} without edges, expected pairs of names")
    known = {key: value for key, value in node.items() if key in ("metadata", "type")}
    inner = {key: revised(one, key) for key, one in nodes.items()}
    # Types are checked here, by the shapes that flow, and in this package's words.
    return {**known, "nodes": inner, "edges": edges, "type_check": False}


def _neuron(node: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    known = DEFAULTS[kind]
    lacking = [key for key, value in known.items() if value is None and key not in node]
    if lacking:
        raise FormatError(f"found {kind} {name} without {lacking[0]}, expected it")
    given = {key: np.asarray(node.get(key, value)) for key, value in known.items()}
    try:
        shape = np.broadcast_shapes(*(_squeezed(one) for one in given.values()))
    except ValueError:
        found = ", ".join(f"{key} {one.shape}" for key, one in given.items())
        raise FormatError(f"found {kind} {name} of {found}, expected one shape") from None
    rest = {key: value for key, value in node.items() if key not in known}
    filled = {
        key: np.broadcast_to(one if _squeezed(one) else one.reshape(()), shape) for key, one in given.items()
    }
    return {**rest, **filled}


def _squeezed(array: Any) -> tuple[int, ...]:
    """A shape; none where there is one value."""
    return () if array.size == 1 else tuple(array.shape)


def _convolution(node: dict[str, Any], name: str) -> dict[str, Any]:
    weight = np.asarray(node["weight"])
    if weight.ndim != (3 if node["type"] == "Conv1d" else 4):
        raise FormatError(
            f"found {node['type']} {name} with weights {weight.shape}, expected (out, in, window)"
        )
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(len(weight))}
    # A stored input shape may be stale: shapes flow from the input here.
    return {**usual, **node, "input_shape": None}

"""Makes the scales and delays of a NIR net part of the weights beside them.

Each stands between one source and one reader first. What reads or feeds it beside others is split: weights
are linear, so that a copy for each source adds up to the same current.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from exporter.graph import Reals
from exporter.sources.nir_net import Linears, Matrix, Net, Weighted, changed
from exporter.sources.nir_neurons import is_neuron, values, whole
from runtime.errors import UnsupportedError

MOST_DELAYS = 255
MOST_NODES = 20_000
"""What splitting may make of a net."""


def merge_delays(net: Net, dt: float) -> None:
    """Every ``Delay`` becomes whole steps of the linear map after it, or before it."""
    _separate(net, nir.Delay)
    steps = {name: _steps(name, net.nodes[name].delay, dt) for name in net.named(nir.Delay)}
    while steps:
        name = min(steps, key=lambda one: not _is_first(net, one, steps))
        late = steps.pop(name)
        steps |= dict.fromkeys(_split(net, name), late)
        (source,), (reader,) = net.before(name), net.after(name)
        if isinstance(net.nodes[source], Matrix):
            _after_weights(net, source, name, late)
        elif isinstance(net.nodes[reader], Matrix):
            _before_weights(net, name, reader, late)
        elif reader in steps:
            steps[reader] = _added(name, late, steps[reader])
            net.bridge(name)
        elif isinstance(net.nodes[reader], nir.Flatten | nir.Scale):
            flat = isinstance(net.nodes[reader], nir.Flatten)
            for later in net.swap(name, reader):
                steps[later] = late.reshape(-1) if flat else late
        elif is_neuron(net.nodes[reader]) and late.ndim == 1:
            _before_weights(net, name, net.between(name, reader, nir.Linear(np.eye(len(late)))), late)
        else:
            raise UnsupportedError(
                f"{name}: found a delay of what a {type(net.nodes[reader]).__name__} reads, "
                "expected one of a linear map or of flat neurons"
            )


def _is_first(net: Net, name: str, steps: dict[str, Reals]) -> bool:
    return not any(source in steps for source in net.before(name))


def _steps(name: str, delay: Any, dt: float) -> Reals:
    times = values(name, "delay", delay) / dt
    steps = np.round(times)
    if np.abs(times - steps).max() > 1e-3 or steps.min() < 0 or steps.max() > MOST_DELAYS:
        raise UnsupportedError(
            f"{name}: found delays of {times.min():g} to {times.max():g} steps, expected whole numbers "
            f"to {MOST_DELAYS}"
        )
    return np.asarray(steps, np.float64)


def _added(name: str, first: Reals, second: Reals) -> Reals:
    try:
        return np.asarray(first + second)
    except ValueError:
        raise UnsupportedError(
            f"{name}: found delays of shapes {first.shape} and {second.shape} in a row, expected equal ones"
        ) from None


def _after_weights(net: Net, source: str, name: str, late: Reals) -> None:
    """Delays a map's result: it is the same to delay what the map reads, a bias aside."""
    own = net.split_reader(source, name)
    if np.any(values(own, "bias", getattr(net.nodes[own], "bias", 0.0))):
        raise UnsupportedError(f"{name}: found a delay after a bias, expected one before the weights")
    if len(set(late.reshape(-1))) > 1:
        raise UnsupportedError(f"{name}: found delays that differ after weights, expected one number")
    net.delays[own] = net.delays.get(own, 0) + int(late.reshape(-1)[0])
    net.bridge(name)


def _before_weights(net: Net, name: str, reader: str, late: Reals) -> None:
    """Delays what a map reads: columns of each number of steps become a map of their own."""
    own = net.split_source(reader, name)
    node, counts = net.nodes[own], sorted(set(late.reshape(-1)))
    already = net.delays.get(own, 0)
    weight = values(own, "weight", node.weight)
    if len(counts) > 1 and (weight.ndim != 2 or late.size != weight.shape[1]):
        raise UnsupportedError(
            f"{name}: found {late.size} delays, expected one, or one for each input of {own}"
        )
    for count in counts[1:]:
        part = net.copy(own, changed(nir.Linear(weight * (late.reshape(-1) == count)), {}))
        net.delays[part] = already + int(count)
    if len(counts) > 1:
        net.nodes[own] = changed(node, {"weight": weight * (late.reshape(-1) == counts[0])})
    net.delays[own] = already + int(counts[0])
    net.bridge(name)


def merge_scales(net: Net) -> None:
    """A ``Scale`` beside weights becomes part of them; one between spikes and a neuron stays."""
    _separate(net, nir.Scale)
    waiting = net.named(nir.Scale)
    while waiting:
        name = waiting.pop(0)
        waiting += _split(net, name)
        (source,), (reader,) = net.before(name), net.after(name)
        scale = values(name, "scale", net.nodes[name].scale)
        before, after = net.nodes[source], net.nodes[reader]
        if isinstance(before, Weighted):
            own = net.split_reader(source, name)
            net.nodes[own] = scaled_rows(own, before, scale)
        elif isinstance(after, Weighted):
            own = net.split_source(reader, name)
            net.nodes[own] = _scaled_columns(own, net.nodes[own], scale)
        elif isinstance(after, nir.Scale):
            net.nodes[reader] = nir.Scale(_product(name, scale, values(reader, "scale", after.scale)))
        elif isinstance(after, nir.Flatten):
            flat = scale.reshape(-1)
            for later in net.swap(name, reader):
                net.nodes[later] = nir.Scale(flat)
                waiting.append(later)
            continue
        elif isinstance(after, nir.SumPool2d | nir.AvgPool2d) and _is_one_a_channel(scale):
            waiting += net.swap(name, reader)
            for later in net.after(reader):
                net.nodes[later] = nir.Scale(
                    scale.reshape(len(scale), -1)[:, :1, None] if scale.ndim else scale
                )
            continue
        elif is_neuron(after) and not isinstance(before, Linears):
            continue
        else:
            raise UnsupportedError(
                f"{name}: found a Scale before a {type(after).__name__}, expected weights or neurons"
            )
        net.bridge(name)


def _is_one_a_channel(scale: Reals) -> bool:
    maps = scale.reshape(len(scale) if scale.ndim else 1, -1)
    return bool(np.all(maps == maps[:, :1]))


def _product(name: str, first: Reals, second: Reals) -> Reals:
    try:
        return np.asarray(first * second)
    except ValueError:
        raise UnsupportedError(
            f"{name}: found factors of shapes {first.shape} and {second.shape} in a row, expected equal ones"
        ) from None


def _separate(net: Net, kind: type) -> None:
    """One node of ``kind`` for each of its sources and readers."""
    for name in net.named(kind):
        if not net.before(name) or not net.after(name):
            raise UnsupportedError(
                f"{name}: found a {kind.__name__} at a loose end, expected it between nodes"
            )
        _split(net, name)


def _split(net: Net, name: str) -> list[str]:
    """Leaves a node one source and one reader; copies for the others. Weights that are split add some."""
    made = [net.split_reader(name, reader) for reader in net.after(name)[1:]]
    for one in (name, *made):
        made += [net.split_source(one, source) for source in net.before(one)[1:]]
    if len(net.nodes) > MOST_NODES:
        raise UnsupportedError(f"graph: found more than {MOST_NODES} nodes once scales and delays are split")
    return made


def scaled_rows(name: str, node: Any, gain: Reals) -> Any:
    """Weights and bias of each output times its gain."""
    weight = values(name, "weight", node.weight)
    rows = _each(name, gain, len(weight))
    changes = {"weight": weight * rows.reshape(-1, *[1] * (weight.ndim - 1))}
    if getattr(node, "bias", None) is not None:
        changes["bias"] = values(name, "bias", node.bias) * rows
    return changed(node, changes)


def _scaled_columns(name: str, node: Any, gain: Reals) -> Any:
    weight = values(name, "weight", node.weight)
    groups = whole(name, "groups", getattr(node, "groups", 1))
    columns = _each(name, gain, weight.shape[1] * groups)
    if groups > 1:
        owner = np.arange(len(weight)) // max(len(weight) // groups, 1)
        columns = columns.reshape(groups, -1)[np.minimum(owner, groups - 1)]
    else:
        columns = columns[None]
    return changed(node, {"weight": weight * columns.reshape(*columns.shape, *[1] * (weight.ndim - 2))})


def _each(name: str, gain: Reals, count: int) -> Reals:
    """One factor for each of ``count`` channels or neurons."""
    if np.all(gain == gain.reshape(-1)[0]):
        return np.full(count, float(gain.reshape(-1)[0]))
    maps = gain.reshape(len(gain), -1)
    if len(gain) == count and np.all(maps == maps[:, :1]):
        return maps[:, 0].copy()
    raise UnsupportedError(f"{name}: found factors of shape {gain.shape}, expected one or one per channel")

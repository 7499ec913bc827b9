"""An imported network as a trained one: a run directory that ``prune`` and ``quantize`` go on from.

The graph's nodes become the layer tables of a configuration, its weights those of the dense checkpoint. Leaks
are brought to the grid of shifts first; what that moved, a few epochs of training make up for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.graph import Add, Conv, Flatten, Graph, Linear, Neuron, Node, Pool, PoolKind, by_name
from runtime.errors import ConfigError, UnsupportedError
from runtime.spec import Coding, Fire, FloatNeuron
from spikepress.run_lock import held
from spikepress.rundir import RunDirectory

if TYPE_CHECKING:
    from exporter.shift_leaks import LeakChange
    from spikepress.stage import Outcome
    from trainer.models import SpikingNet

POOLS = {PoolKind.AVERAGE: "avg_pool", PoolKind.SUM: "sum_pool", PoolKind.MAX: "max_pool"}
Table = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """One layer table and the arrays of its module, by the names that torch gives them."""

    table: Table
    arrays: Mapping[str, Any]


@dataclass(frozen=True)
class Feeding:
    """What the network is trained on: a data set by name, and how its samples are coded.

    ``scale``: real value of one unit of direct input. ``bits``: of the weights. ``epochs`` of each stage.
    """

    data: str
    coding: str = Coding.EVENTS.value
    n_steps: int | None = None
    scale: float | None = None
    bits: int = 8
    epochs: int = 3


def make_trainable(
    graph: Graph, output: str | Path, feeding: Feeding, *, data_dir: Path | None = None
) -> tuple[Outcome, tuple[LeakChange, ...]]:
    """Writes a run directory with ``graph`` (real units) as its dense network.

    Its accuracy on the data set, and the leaks that moved. UnsupportedError names what the trainer has no
    layer for: branches, and biases or delays where it has none.
    """
    from exporter.passes import simplify
    from exporter.shift_leaks import shift_leaks
    from spikepress.settings import parse_settings, start_run
    from spikepress.stage import Work, finished, splits_of
    from trainer import build

    start = time.perf_counter()
    moved, leaks = shift_leaks(simplify(graph))
    links = links_of(moved)
    text = _config(links, moved, feeding)
    settings = parse_settings(text, Path(), "import")
    data = splits_of(settings, data_dir)
    spec = build.input_spec(settings.config.input, data.info)
    theirs = moved.nodes[0].spec.shape  # type: ignore[union-attr]
    if int(np.prod(spec.shape)) != int(np.prod(theirs)):
        raise ConfigError(f"import --data: found steps of shape {spec.shape}, expected {theirs}")
    net = build.build_net(settings.config, spec, len(data.info.classes), data.info.classes)
    _fill(net, links)
    run = RunDirectory(output)
    with held(run):
        start_run(run, settings, text)
        return finished(net, Work(run, "dense", settings.config, data, False), start), leaks


def links_of(graph: Graph) -> list[Link]:
    """The layers of a chain, in order. UnsupportedError names a node that is no link of one."""
    nodes, before = by_name(graph), graph.nodes[0].name
    found: list[Link] = []
    done: set[str] = set()
    for node in graph.nodes[1:]:
        if node.name in done or (isinstance(node, Linear) and node.delay):
            continue
        if isinstance(node, Add):
            link, before = _recurrent(node, nodes, before)
            done.add(before)
            found.append(link)
            continue
        if getattr(node, "source", None) != before:
            raise UnsupportedError(f"{node.name}: found it beside {before}, expected a chain to train")
        found.append(_link(node))
        before = node.name
    return found


def _link(node: Node) -> Link:
    match node:
        case Linear():
            table: Table = {"kind": "linear", "out": len(node.weight), "bias": node.bias is not None}
            return Link(table, _arrays(node))
        case Conv():
            table = {
                "kind": "conv2d",
                "out": len(node.weight),
                "kernel": list(node.weight.shape[2:]),
                "stride": list(node.stride),
                "padding": list(node.padding),
                "dilation": list(node.dilation),
                "groups": node.groups,
                "bias": node.bias is not None,
            }
            return Link(table, _arrays(node))
        case Pool():
            sizes = {"kernel": list(node.kernel), "stride": list(node.stride), "padding": list(node.padding)}
            return Link({"kind": POOLS[node.kind], **sizes}, {})
        case Flatten():
            return Link({"kind": "flatten"}, {})
        case Neuron():
            return Link(*_neuron(node))
    raise UnsupportedError(f"{node.name}: found a {type(node).__name__}, expected a layer of a chain")


def _arrays(node: Linear | Conv) -> Mapping[str, Any]:
    return {"weight": node.weight} if node.bias is None else {"weight": node.weight, "bias": node.bias}


def _neuron(node: Neuron) -> tuple[Table, Mapping[str, Any]]:
    model = node.model
    assert isinstance(model, FloatNeuron)
    arrays = {"bias": np.asarray(model.bias)} if any(model.bias) else {}
    table: Table = {"shifts": list(model.leak.shifts), "bias": bool(arrays), "start": _one(node, "start")}
    if model.fire is Fire.SILENT:
        return {"kind": "li", **table}, arrays
    table |= {
        "threshold": _few(model.threshold),
        "fire": model.fire.value,
        "payload_bits": model.payload_bits,
        "compare": model.compare.value,
        "reset": model.reset.value,
        "reset_timing": model.reset_timing.value,
        "reset_value": _few(model.reset_value),
        "v_leak": _one(node, "v_leak"),
    }
    if model.synaptic_leak is None:
        return {"kind": "lif" if model.leak.shifts else "if", **table}, arrays
    if table["start"] or table["v_leak"]:
        raise UnsupportedError(f"{node.name}: found a start or v_leak of a current-based neuron, expected 0")
    table["synaptic_shifts"] = list(model.synaptic_leak.shifts)
    return {"kind": "cuba_lif", **table, "synaptic_order": model.synaptic_order.value}, arrays


def _few(values: tuple[float, ...]) -> list[float]:
    """One value where all are the same."""
    return list(values[:1] if len(set(values)) == 1 else values)


def _one(node: Neuron, what: str) -> float:
    """A value that the trainer has one of for a population."""
    values = set(getattr(node.model, what))
    if len(values) != 1:
        raise UnsupportedError(
            f"{node.name}: found a {what} of its own in each neuron, expected one to train"
        )
    return float(values.pop())


def _recurrent(total: Add, nodes: Mapping[str, Node], before: str) -> tuple[Link, str]:
    """A population that hears itself (its own synapse, the sum and the neuron) as one layer, and its name."""
    others = [nodes[name] for name in total.sources if name != before]
    own = others[0] if len(others) == 1 and before in total.sources else None
    neuron = nodes[own.source] if isinstance(own, Linear) and own.delay else None
    if not isinstance(own, Linear) or not isinstance(neuron, Neuron) or neuron.source != total.name:
        raise UnsupportedError(f"{total.name}: found a sum, expected one of a population that hears itself")
    table, arrays = _neuron(neuron)
    inner = {f"neuron.{name}": values for name, values in arrays.items()}
    inner |= {f"linear.{name}": values for name, values in _arrays(own).items()}
    recurrent = {"kind": "recurrent", "neuron": table, "delay": own.delay, "bias": own.bias is not None}
    return Link(recurrent, inner), neuron.name


def _fill(net: SpikingNet, links: Sequence[Link]) -> None:
    """Puts the arrays where training left its own."""
    import torch

    for number, link in enumerate(links):
        state = net.body.get_submodule(str(number)).state_dict()
        for name, values in link.arrays.items():
            array = torch.from_numpy(np.asarray(values, np.float32).copy())
            with torch.no_grad():
                state[name].copy_(array.reshape(state[name].shape) if array.numel() > 1 else array)


def _config(links: Sequence[Link], graph: Graph, feeding: Feeding) -> str:
    """The configuration as TOML: what prunes and quantizes on is light, and the user's to change."""
    sections = [_section("[data]", {"name": feeding.data})]
    given: Table = {"coding": feeding.coding}
    given |= {} if feeding.n_steps is None else {"n_steps": feeding.n_steps}
    given |= {} if feeding.scale is None else {"scale": feeding.scale}
    sections.append(_section("[input]", given))
    sections += [_section("[[layers]]", link.table) for link in links]
    train = {"epochs": feeding.epochs, "lr": 5e-4, "readout": graph.readout.value, "threads": 1}
    sections.append(_section("[train]", train))
    sections.append(_section("[prune]", {"sparsity": 0.0, "epochs": feeding.epochs, "events": 4}))
    sections.append(_section("[quantize]", {"bits": str(feeding.bits), "epochs": feeding.epochs}))
    return "\n".join(sections)


def _section(head: str, table: Table) -> str:
    return "\n".join([head, *(f"{key} = {_toml(value)}" for key, value in table.items())]) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML: numbers, words and lists are written as JSON does, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)

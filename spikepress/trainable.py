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

from exporter.graph import Graph
from runtime.errors import ConfigError
from runtime.spec import Coding
from spikepress.chains import Link, Table, links_of
from spikepress.run_lock import held
from spikepress.rundir import RunDirectory

if TYPE_CHECKING:
    from exporter.shift_leaks import LeakChange
    from spikepress.stage import Outcome
    from trainer.models import SpikingNet


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
    layer for: branches that do not meet again, and biases or delays where it has none.
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
    """A value as TOML: numbers and words are written as JSON does, tables inline."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)

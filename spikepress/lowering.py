"""From the quantized checkpoint of a run to its artefacts: graphs, ``.spk``, ONNX."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from exporter import graph_file
from exporter.graph import Graph, Scale
from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.quantize import QuantizeOptions, quantize
from exporter.sources.torch import graph_from_torch
from exporter.wiring import synapses
from runtime.objective import Objective
from spikepress import __version__
from spikepress.card import DENSE_WEIGHTS
from spikepress.rundir import RunDirectory, read_json
from spikepress.settings import load_settings, options_of


class Graphs(NamedTuple):
    """One network three times: real-valued neurons, integers, integers without neurons that do nothing."""

    real: Graph
    whole: Graph
    final: Graph


def graphs_of(run: RunDirectory) -> Graphs:
    """The graphs of a run's quantized network, or those it was imported as. ModelError or UnsupportedError
    where it has no exact form."""
    if run.is_imported:
        return Graphs(*(graph_file.load(path) for path in (run.float_graph, run.whole_graph, run.graph)))
    from trainer import checkpoint

    path = run.quantized_checkpoint()
    net = checkpoint.load(path).eval()
    real = simplify(graph_from_torch(net))
    real = replace(real, meta={**_meta(run, path), DENSE_WEIGHTS: str(_weights(real))})
    whole = quantize(real, QuantizeOptions())
    return Graphs(real, whole, drop_dead(whole))


def write_targets(
    run: RunDirectory,
    targets: tuple[str, ...],
    where: RunDirectory,
    *,
    objective: Objective = Objective.FLASH,
    encoding: str | None = None,
) -> dict[str, Path]:
    """Writes each target of a run's network and the graphs beside it; returns the files by target."""
    return write_graphs(graphs_of(run), targets, where, objective=objective, encoding=encoding)


def write_graphs(
    graphs: Graphs,
    targets: tuple[str, ...],
    where: RunDirectory,
    *,
    objective: Objective = Objective.FLASH,
    encoding: str | None = None,
) -> dict[str, Path]:
    """As ``write_targets``, of graphs at hand."""
    program = lower(graphs.final, encoding, objective)
    graph_file.save(graphs.real, where.float_graph)
    graph_file.save(graphs.whole, where.whole_graph)
    graph_file.save(graphs.final, where.graph)
    written = {}
    if "spk" in targets:
        from exporter.targets import spk

        spk.export(program, where.program)
        written["spk"] = where.program
    if "onnx" in targets:
        from exporter.targets import onnx, onnx_float, onnx_step

        onnx.export(graphs.final, where.onnx)
        onnx.export(graphs.final, where.traced_onnx, traced=True)
        onnx_step.export_step(graphs.final, where.step_onnx)
        onnx_float.export_float(graphs.real, where.float_onnx)
        written["onnx"] = where.onnx
    return written


def _weights(graph: Graph) -> int:
    """Weights before any was pruned or any neuron dropped; identity skips have none to prune."""
    return sum(node.weight.size for node in synapses(graph) if not isinstance(node, Scale))


def _meta(run: RunDirectory, path: Path) -> dict[str, str]:
    """What the artefact says of its origin: settings, accuracies, hashes, version; no times or places."""
    meta = {"spikepress": __version__, "checkpoint_sha256": _sha256(path)}
    if run.config.exists():
        meta["config_sha256"] = _sha256(run.config)
        meta |= {key: str(value) for key, value in options_of(load_settings(run)).items()}
    stages = read_json(run.stages) if run.stages.exists() else {}
    for stage, outcome in stages.items():
        if isinstance(outcome, dict) and math.isfinite(outcome.get("accuracy", math.nan)):
            meta[f"accuracy_{stage}"] = f"{outcome['accuracy']:.6f}"
    return meta


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""A twin of a network whose membranes saturate, so that clamps are met and not only proved harmless.

A trained network seldom reaches the ends of its state width: then no leg's clamp would ever be compared.
The twin has the same weights and neurons, but bounds of half the range that its membranes really took.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from exporter import graph_file
from exporter.graph import Graph, Neuron
from exporter.lower import lower
from runtime.spec import IntegerNeuron, Reset
from runtime.trace import Trace
from spikepress.legs import Artifacts, Leg
from spikepress.rundir import RunDirectory

Bounds = Mapping[str, tuple[int, int]]
"""Lowest and highest stored membrane of each population."""


def saturated(artifacts: Artifacts, seen: Trace, folder: Path, legs: tuple[Leg, ...]) -> Artifacts:
    """Writes into ``folder`` what ``legs`` need to run the twin; ``seen`` is the network's own trace."""
    bounds = {name: (int(v.min()) // 2, int(v.max()) // 2) for name, v in seen.membranes.items()}
    run, final = RunDirectory(folder), narrowed(artifacts.graph, bounds)
    graph_file.save(final, run.graph)
    if Leg.TORCH in legs:
        graph_file.save(narrowed(artifacts.whole_graph, bounds), run.whole_graph)
        checkpoint = artifacts.run.quantized_checkpoint()
        for file in (checkpoint, checkpoint.with_suffix(".json")):
            shutil.copy(file, folder / file.name)
    if set(legs) - {Leg.TORCH, Leg.ONNX}:
        from exporter.targets import spk

        spk.export(lower(final), run.program)
    if Leg.ONNX in legs:
        from exporter.targets import onnx

        onnx.export(final, run.onnx)
        onnx.export(final, run.traced_onnx, traced=True)
    return Artifacts(run)


def narrowed(graph: Graph, bounds: Bounds) -> Graph:
    """The integer graph with these bounds, widened where a start or reset value lies outside."""
    nodes = (
        replace(node, model=_narrowed(node.model, bounds[node.name]))
        if isinstance(node, Neuron) and isinstance(node.model, IntegerNeuron)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _narrowed(model: IntegerNeuron, bounds: tuple[int, int]) -> IntegerNeuron:
    inside = (*model.start_q, *(model.reset_q if model.reset is Reset.VALUE else ()), 0)
    low, high = min(bounds[0], *inside), max(bounds[1], *inside)
    return replace(model, v_min=max(low, model.v_min), v_max=min(high, model.v_max))

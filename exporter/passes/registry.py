"""The passes by name. To add one: write its file, add its line, add it to the shared tests."""

from __future__ import annotations

from collections.abc import Callable

from exporter.graph import Graph
from exporter.passes.bias_unit import bias_unit
from exporter.passes.drop_dead import drop_dead
from exporter.passes.fold_norm import fold_norm
from exporter.passes.fold_pool import fold_pool

Pass = Callable[[Graph], Graph]

FOLDING: dict[str, Pass] = {"fold_norm": fold_norm, "fold_pool": fold_pool}
"""For graphs in real units, before ``exporter.quantize``."""

SHRINKING: dict[str, Pass] = {"drop_dead": drop_dead}
"""For integer graphs, before ``exporter.lower``."""

BEFORE_INTEGERS: dict[str, Pass] = {"bias_unit": bias_unit}
"""For folded graphs from elsewhere, which may say what integers have no word for."""

PASSES: dict[str, Pass] = {**FOLDING, **BEFORE_INTEGERS, **SHRINKING}


def simplify(graph: Graph) -> Graph:
    """The graph after every folding pass: what ``exporter.quantize`` takes."""
    for run in FOLDING.values():
        graph = run(graph)
    return graph

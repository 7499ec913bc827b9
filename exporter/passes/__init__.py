"""Passes: each takes a graph and returns a new one; its docstring says what it needs and guarantees."""

from exporter.passes.bias_unit import bias_unit
from exporter.passes.drop_dead import drop_dead
from exporter.passes.fold_norm import fold_norm
from exporter.passes.fold_pool import fold_pool
from exporter.passes.registry import PASSES, simplify

__all__ = ["PASSES", "bias_unit", "drop_dead", "fold_norm", "fold_pool", "simplify"]

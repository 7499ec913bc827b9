"""SNIP (Lee et al. 2019, "SNIP: Single-shot Network Pruning based on Connection Sensitivity",
arXiv 1810.02340): one pruning at the first step, by what the loss would feel."""

from __future__ import annotations

from torch import Tensor

from pruner.evidence import Evidence
from pruner.method import Begins, Method


def snip(evidence: Evidence) -> Tensor:
    """|w dL/dw|, both at the same step: the first-order change of the loss when the weight goes."""
    assert evidence.gradient is not None
    weight = evidence.weight if evidence.weight_then is None else evidence.weight_then
    return (weight.detach().double() * evidence.gradient.double()).abs()


METHOD = Method(
    source="Lee et al. 2019, arXiv 1810.02340",
    differs="one batch, as in the paper; pruned after the step that batch makes, so one dense step is taken",
    keys={"criterion": "snip", "allocation": "global", "events": 1, "begin": 0.0, "end": 0.0},
    begins=Begins.UNTRAINED,
)

"""Layer-adaptive magnitude (Lee et al. 2021, "Layer-adaptive Sparsity for the Magnitude-based Pruning",
arXiv 2010.07611, section 3): the score that makes one threshold fit layers of different scale."""

from __future__ import annotations

import torch
from torch import Tensor

from pruner.evidence import Evidence
from pruner.method import Method


def lamp(evidence: Evidence) -> Tensor:
    """w^2 over the sum of all squares in the layer that are not smaller; 1 for the layer's largest weight.

    Dead weights are zeros and weigh nothing in the sums.
    """
    squares = evidence.weight.detach().double().square().flatten()
    order = torch.argsort(squares, descending=True, stable=True)
    score = torch.empty_like(squares)
    score[order] = squares[order] / squares[order].cumsum(0).clamp_min(1e-300)
    return score.view(evidence.weight.shape)


METHOD = Method(
    source="Lee et al. 2021, arXiv 2010.07611",
    differs="along the cubic schedule, where the paper prunes and retrains in rounds",
    keys={"criterion": "lamp", "allocation": "global"},
)

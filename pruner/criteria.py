"""Per-weight scores, higher is kept. The same functions choose what to prune and what to regenerate.

Each takes one layer's ``Evidence`` and returns a float64 tensor of the weight's shape. M0 to M3 are
our ways to spread a neuron's criticality, which is one number for its whole fan-in, over its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruner.evidence import Evidence

_TIE = 1e-9


def magnitude(evidence: Evidence) -> Tensor:
    """|w|."""
    return evidence.weight.detach().abs().double()


def random(evidence: Evidence) -> Tensor:
    """Uniform noise from the seeded generator: the control every other score has to beat."""
    return torch.rand(evidence.weight.shape, generator=evidence.generator, dtype=torch.float64)


def gradient(evidence: Evidence) -> Tensor:
    """|dL/dw|, which also sees pruned weights (Evci et al. 2020, "Rigging the Lottery", section 3)."""
    assert evidence.gradient is not None
    return evidence.gradient.abs().double()


def activity_magnitude(evidence: Evidence) -> Tensor:
    """Presynaptic rate x |w|: the mean current a synapse delivers."""
    return evidence.per_pre() * magnitude(evidence)


def criticality(evidence: Evidence) -> Tensor:
    """M0: the neuron's criticality alone; |w| only breaks the tie within a fan-in."""
    size = magnitude(evidence)
    return evidence.per_post() * (1.0 + _TIE * size / size.max().clamp_min(1e-30))


def criticality_magnitude(evidence: Evidence) -> Tensor:
    """M1: criticality x |w|."""
    return evidence.per_post() * magnitude(evidence)


def criticality_activity(evidence: Evidence) -> Tensor:
    """M2: criticality x presynaptic rate x |w|, to first order the chance that losing the weight flips
    a spike (the form Yao et al. 2023, arXiv 2305.12148, derive for normalised potentials)."""
    return evidence.per_post() * activity_magnitude(evidence)


def criticality_gradient(evidence: Evidence) -> Tensor:
    """M3: criticality x |dL/dw|."""
    return evidence.per_post() * gradient(evidence)

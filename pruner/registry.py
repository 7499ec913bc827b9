"""The variants a configuration can name. To add one: write the function, add its line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pruner import allocation, criteria, criticality, schedule
from pruner.allocation import Allocation
from pruner.evidence import Evidence, Need
from pruner.latent import Latent
from pruner.method import Method
from pruner.methods import (
    by_magnitude,
    chance,
    erdos_renyi,
    grad_r,
    lamp,
    lottery,
    rigl,
    seed,
    snip,
    sparse_evolution,
    stds,
    upr,
    yao,
)
from pruner.schedule import Curve, Decay
from runtime.errors import ConfigError
from runtime.plugins import known_or_own, made
from trainer.surrogate import SurrogateShape


@dataclass(frozen=True)
class Criterion:
    """A score and the measurements it cannot do without."""

    score: Callable[[Evidence], Tensor]
    needs: frozenset[Need] = frozenset()


_GRADIENT = frozenset({Need.GRADIENT})
_ACTIVITY = frozenset({Need.ACTIVITY})
_CRITICALITY = frozenset({Need.CRITICALITY})

CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(criteria.magnitude),
    "random": Criterion(criteria.random),
    "gradient": Criterion(criteria.gradient, _GRADIENT),
    "snip": Criterion(snip.snip, _GRADIENT),
    "lamp": Criterion(lamp.lamp),
    "activity-magnitude": Criterion(criteria.activity_magnitude, _ACTIVITY),
    "criticality": Criterion(criteria.criticality, _CRITICALITY),
    "criticality-magnitude": Criterion(criteria.criticality_magnitude, _CRITICALITY),
    "criticality-activity": Criterion(criteria.criticality_activity, _CRITICALITY | _ACTIVITY),
    "criticality-gradient": Criterion(criteria.criticality_gradient, _CRITICALITY | _GRADIENT),
}


def criterion_of(name: str, key: str) -> Criterion:
    """One of ``CRITERIA``, of ``module:CRITERION``, or of an entry point; ConfigError naming ``key``."""
    found = made(key, known_or_own("criterion", key, name, CRITERIA))
    if not isinstance(found, Criterion):
        raise ConfigError(f"{key}: found a {type(found).__name__} at {name}, expected a Criterion")
    return found


SCHEDULES: dict[str, Curve] = {
    "cubic": schedule.cubic,
    "linear": schedule.linear,
    "geometric": schedule.geometric,
    "constant": schedule.constant,
}

DECAYS: dict[str, Decay] = {
    "cosine": schedule.cosine,
    "linear": schedule.fading,
    "constant": schedule.steady,
}

ALLOCATIONS: dict[str, Allocation] = {
    "global": allocation.overall,
    "uniform": allocation.uniform,
    "erdos-renyi": erdos_renyi.erdos_renyi,
    "erdos-renyi-kernel": erdos_renyi.erdos_renyi_kernel,
}

NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": criticality.as_is,
    "mean": criticality.by_mean,
    "rank": criticality.by_rank,
}

SURROGATE = "surrogate"
"""Names the shape a neuron trains with, in place of one of ``KERNELS``."""

KERNELS: dict[str, SurrogateShape] = {
    "arctan": SurrogateShape.ARCTAN,
    "fast-sigmoid": SurrogateShape.FAST_SIGMOID,
    "triangle": SurrogateShape.TRIANGLE,
    "rectangle": SurrogateShape.RECTANGLE,
}

NO_SEARCH = "none"
"""Names the choice of masks by scores at events, in place of one of ``SEARCHES``."""

SEARCHES: dict[str, type[Latent]] = {
    "grad-r": grad_r.GradR,
    "stds": stds.Stds,
    "upr": upr.Upr,
}
"""Ways to find masks through values behind the weights."""

METHODS: dict[str, Method] = {
    "random": chance.RANDOM,
    "random-per-layer": chance.RANDOM_PER_LAYER,
    "magnitude": by_magnitude.GLOBAL,
    "magnitude-per-layer": by_magnitude.PER_LAYER,
    "lamp": lamp.METHOD,
    "erdos-renyi": erdos_renyi.METHOD,
    "snip": snip.METHOD,
    "iterative-magnitude": lottery.METHOD,
    "set": sparse_evolution.METHOD,
    "rigl": rigl.METHOD,
    "grad-r": grad_r.METHOD,
    "stds": stds.METHOD,
    "upr": upr.METHOD,
    "activity-magnitude": yao.ACTIVITY,
    "yao": yao.YAO,
    "criticality": seed.M3,
    "criticality-m0": seed.M0,
    "criticality-m1": seed.M1,
    "criticality-m2": seed.M2,
    "regenerate-random": seed.BY_RANDOM,
    "regenerate-gradient": seed.BY_GRADIENT,
    "granet": seed.GRANET,
    "criticality-channels": seed.CHANNELS,
    "channels": seed.CHANNELS_ONLY,
    "channels-regenerate-random": seed.CHANNELS_BY_RANDOM,
}
"""``method = "name"`` in a ``[prune]`` table; the table's own keys come on top."""

"""Budgets of post-training pruning: weight sparsity, exact stored bytes, additions per sample, or several."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import ConfigError, ModelError
from trainer.tables import require

if TYPE_CHECKING:
    from pruner.compression import Compressed, Compression
    from pruner.post_training import Calibrated
    from trainer.evaluate import Labeled
    from trainer.models import SpikingNet

COUNTED = 200
"""Validation samples that additions are counted on."""
HALVINGS = 7
"""Trials between the densest and the sparsest network: a step of the density of 1 in 128."""


TRIALS = 8
"""Networks with sweeps that are made before the sparsest one is returned."""


@dataclass(frozen=True)
class Budget:
    """What a compressed network may take; None leaves it open. Additions are those of spikes and input."""

    sparsity: float | None = None
    most_bytes: int | None = None
    most_synops: float | None = None

    def __post_init__(self) -> None:
        shares = self.sparsity is None or 0.0 <= self.sparsity < 1.0
        require(shares, "prune --sparsity", self.sparsity, "0 to below 1")
        require(self.most_bytes is None or self.most_bytes > 0, "prune --bytes", self.most_bytes, "above 0")
        require(
            self.most_synops is None or self.most_synops > 0, "prune --synops", self.most_synops, "above 0"
        )

    @property
    def searches(self) -> bool:
        """True when the weight sparsity has to be found."""
        return self.most_bytes is not None or self.most_synops is not None


@dataclass(frozen=True)
class Cost:
    """Stored tables and neuron parameters in bytes, and additions per sample."""

    stored_bytes: int
    synops: float

    def over(self, budget: Budget) -> str | None:
        """The first budget that is exceeded, as "key: value" of what would be needed."""
        if budget.most_bytes is not None and self.stored_bytes > budget.most_bytes:
            return f"--bytes: found {budget.most_bytes}, expected at least {self.stored_bytes}"
        if budget.most_synops is not None and self.synops > budget.most_synops:
            return f"--synops: found {budget.most_synops:g}, expected at least {self.synops:.0f}"
        return None


def cost_of(net: SpikingNet, samples: Labeled) -> Cost:
    """What a quantized network takes once exported: exact bytes, and additions counted by running it."""
    from exporter.lower import lower
    from exporter.passes import drop_dead, simplify
    from exporter.quantize import QuantizeOptions, quantize
    from exporter.sources.torch import graph_from_torch
    from runtime.coding import encode_input
    from runtime.cost import footprint
    from runtime.engine import Engine

    graph = quantize(simplify(graph_from_torch(copy.deepcopy(net).eval())), QuantizeOptions())
    program = lower(drop_dead(graph))
    counts = Engine(program).run(encode_input(samples.x[:COUNTED], program.input)).counts
    total = sum(line.total for line in footprint(program))
    return Cost(total, (counts.effective_acs + counts.input_adds) / counts.samples)


def check_heard(net: SpikingNet, samples: Labeled) -> None:
    """Raise ModelError where the readout hears no spike any more: then all predictions are one."""
    from pruner.topology import readout_layers
    from trainer.evaluate import evaluate
    from trainer.structure import output_population

    few = SimpleNamespace(x=samples.x[:COUNTED], y=samples.y[:COUNTED])
    found = evaluate(net, few)
    hidden = {name: rate for name, rate in found.rates.items() if name != output_population(net)}
    if hidden and float(np.ptp(found.scores, axis=0).max()) == 0.0:
        raise ModelError(
            f"{', '.join(sorted(readout_layers(net)))}: found no spike that reaches the readout on {COUNTED} "
            "samples, expected a smaller sparsity or a larger budget"
        )


def within(calibrated: Calibrated, wish: Compression, budget: Budget, samples: Labeled) -> Compressed:
    """The densest compressed network that keeps the budget, at least as sparse as ``wish`` asks for where
    the budget names a sparsity. Trials are made without sweeps; only the network returned has them.

    Raises ConfigError, before any of that, for a budget that not even the sparsest network keeps.
    """
    if not budget.searches:
        return calibrated.compress(wish)
    densest = 0.0 if budget.sparsity is None else budget.sparsity
    sparsest = 1.0 - len(calibrated.layers) / calibrated.total
    quick = replace(wish, sweeps=0)
    least = calibrated.compress(replace(quick, sparsity=sparsest))
    refused = cost_of(least.net, samples).over(budget)
    if refused is not None:
        raise ConfigError(f"prune {refused}, which the network needs with one weight a layer")
    low, high = 1.0 - sparsest, 1.0 - densest
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        trial = calibrated.compress(replace(quick, sparsity=1.0 - middle))
        low, high = (middle, high) if cost_of(trial.net, samples).over(budget) is None else (low, middle)
    return _kept(calibrated, replace(wish, sparsity=1.0 - low), budget, samples) or least


def _kept(calibrated: Calibrated, wish: Compression, budget: Budget, samples: Labeled) -> Compressed | None:
    """Compress as wished, or a little more where that exceeds the budget; None where that never ends."""
    for _ in range(TRIALS):
        done = calibrated.compress(wish)
        if cost_of(done.net, samples).over(budget) is None:
            return done
        fewest = 1.0 - len(calibrated.layers) / calibrated.total
        wish = replace(wish, sparsity=min(1.0 - 0.97 * (1.0 - wish.sparsity), fewest))
    return None

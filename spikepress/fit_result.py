"""What ``fit`` answers: the model or "no", what binds, and what else is possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spikepress.fit_verdict import FitBudget, Judgement, Model, judge
from spikepress.latency import Span
from spikepress.model_file import layout_json, model_json
from spikepress.proposal import Proposal


@dataclass(frozen=True)
class FitResult:
    """What ``fit`` found. ``model`` None: nothing fits that is accurate enough, and ``near`` comes
    nearest. ``front``: the models tried that no other beats in flash, RAM and accuracy."""

    budget: FitBudget
    trained_accuracy: float | None
    """Of the network that models were made from, on validation samples."""
    model: Model | None
    near: Model | None
    front: tuple[Model, ...]
    proposal: Proposal | None
    output: Path | None
    test_accuracy: float | None
    """Of the model, on test samples, which no choice was made on."""
    tried: int
    kept: int
    """Models known from an earlier search, of those tried."""
    seconds: float

    @property
    def fits(self) -> bool:
        return self.model is not None

    @property
    def judgement(self) -> Judgement | None:
        """Of the model, or of what comes nearest."""
        told = self.model or self.near
        return None if told is None else judge(told, self.budget)

    @property
    def latency(self) -> Span | None:
        """Of a mean inference on the budget's device; None where no time can be told."""
        found, clock = self.judgement, self.budget.clock
        return None if found is None or clock is None else clock.span(found.layout.work)

    @property
    def worst_latency(self) -> Span | None:
        """The same when every neuron fires and every input bit is set in every step."""
        found, clock = self.judgement, self.budget.clock
        return None if found is None or clock is None else clock.span(found.layout.worst_work)

    @property
    def sentence(self) -> str:
        told, found = self.model or self.near, self.judgement
        if told is None or found is None:
            return f"no: no model of this network could be made for {self.budget.name}"
        said = f"{told.accuracy:.2%} on validation samples, {told.words}"
        binding = f"{found.binding} at {found.worst:.1%} of {self.budget.name}"
        if self.model is not None:
            return f"yes: {said}; {binding}"
        if found.fits:
            return f"no: the best that fits has {said}, less than the {self.budget.accuracy:.2%} asked for"
        return f"no: the nearest has {said}, and does not fit: {binding}"

    def as_json(self) -> dict[str, object]:
        found = self.judgement
        return {
            "budget": budget_json(self.budget),
            "fits": self.fits,
            "sentence": self.sentence,
            "binding": None if found is None else found.binding,
            "shares": {} if found is None else {k: _number(share) for k, share in found.shares.items()},
            "latency_ms": None if self.latency is None else self.latency.as_json(),
            "worst_latency_ms": None if self.worst_latency is None else self.worst_latency.as_json(),
            "layout": None if found is None else layout_json(found.layout),
            "model": None if self.model is None else model_json(self.model),
            "nearest": None if self.near is None else model_json(self.near),
            "trained_validation_accuracy": self.trained_accuracy,
            "test_accuracy": self.test_accuracy,
            "smallest_device": None if self.proposal is None else self.proposal.as_json(),
            "front": [model_json(model) for model in self.front],
            "models_tried": self.tried,
            "models_kept_from_before": self.kept,
            "seconds": round(self.seconds, 1),
            "output": None if self.output is None else str(self.output),
        }


def _number(share: float) -> float | None:
    """None for a share that no number tells: of a time that is not known."""
    return share if share < float("inf") else None


def budget_json(budget: FitBudget) -> dict[str, object]:
    return {
        "name": budget.name,
        "limits": {resource.value: limit for resource, limit in budget.limits.items()},
        "synops": budget.synops,
        "latency_ms": budget.latency_ms,
        "least_accuracy": budget.accuracy,
    }

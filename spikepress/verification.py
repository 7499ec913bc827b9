"""Holds every leg against the reference, value by value, and says what the samples put to the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from exporter.wiring import input_of
from runtime.coding import encode_input
from runtime.errors import ConfigError
from runtime.trace import Trace
from spikepress.exactness import LayerActivity, LegResult, activity, compare
from spikepress.legs import LEGS, Artifacts, Coded, Leg, integer_parameters, leg_of, reference_leg
from spikepress.progress import Notify, silent
from spikepress.rundir import run_directory_of
from spikepress.samples import samples_of_test, stress_samples

ALL_LEGS = tuple(leg.value for leg in Leg)

CHUNK = 64
"""Samples traced at once: bounds memory at about 100 MB for a 28 x 28 x 16 layer over 8 steps."""


@dataclass(frozen=True)
class Verification:
    """Each leg against the reference on ``samples`` test samples and ``stress`` made-up extreme ones.
    ``activity`` describes the reference's layers: rates on the test samples, counts over both."""

    samples: int
    stress: int
    legs: tuple[LegResult, ...]
    activity: tuple[LayerActivity, ...]

    @property
    def exact(self) -> bool:
        return all(leg.exact for leg in self.legs)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each leg that departs, and for each layer whose activity proves little."""
        departing = (
            f"{leg.leg} first departs at {leg.first.sentence}." for leg in self.legs if leg.first is not None
        )
        idle = (
            f"Layer {layer.layer} spikes in {layer.rate:.2%} of its neuron-steps, expected 1 to 50 %."
            for layer in self.activity
            if not layer.within_limits
        )
        return (*departing, *idle)

    def as_json(self) -> dict[str, object]:
        return {"exact": self.exact, **asdict(self), "sentences": list(self.sentences)}


def verify(
    model: str | Path,
    *,
    legs: Sequence[str] = ALL_LEGS,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int = 200,
    notify: Notify = silent,
) -> Verification:
    """Runs the reference and ``legs`` on the first ``samples`` test samples and on 16 stress samples.

    Raises SpikepressError for legs, data or artefacts that are missing or damaged; a leg that differs is
    no error but a result.
    """
    chosen = [leg_of(name) for name in legs]
    if not chosen:
        raise ConfigError("verify --legs: found none, expected at least one")
    artifacts = Artifacts(run_directory_of(model))
    x = samples_of_test(artifacts.run, data, data_dir).x[:samples]
    spec = input_of(artifacts.graph).spec
    stress = stress_samples(spec, x.shape[1:])
    parts = [(start, x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    parts.append((len(x), stress))
    results: dict[Leg, LegResult] = {}
    seen: list[tuple[LayerActivity, ...]] = []
    for done, (start, raw) in enumerate(parts):
        notify("verify", done / len(parts))
        coded = encode_input(raw, spec, first_sample=start)
        expected = reference_leg(artifacts, coded)
        seen.append(activity(expected, integer_parameters(artifacts.graph)[0]))
        for leg in chosen:
            found = _compared(leg, artifacts, coded, expected)
            results[leg] = _joined(results.get(leg), found, start)
    notify("verify", 1.0)
    return Verification(len(x), len(stress), tuple(results.values()), _summed(seen))


def _compared(leg: Leg, artifacts: Artifacts, coded: Coded, expected: Trace) -> LegResult:
    return compare(leg.value, expected, LEGS[leg](artifacts, coded))


def _joined(before: LegResult | None, new: LegResult, start: int) -> LegResult:
    """The result over both parts; the samples of ``new`` are counted from ``start``."""
    if new.first is not None:
        new = replace(new, first=replace(new.first, sample=new.first.sample + start))
    if before is None:
        return new
    return LegResult(
        new.leg,
        before.differing_spikes + new.differing_spikes,
        before.differing_membranes + new.differing_membranes,
        before.differing_predictions + new.differing_predictions,
        before.first or new.first,
    )


def _summed(parts: Sequence[tuple[LayerActivity, ...]]) -> tuple[LayerActivity, ...]:
    """Counts over all parts; the rate is that of the test samples, all parts but the last."""
    joined = []
    for layers in zip(*parts, strict=True):
        ties = [layer.ties for layer in layers]
        joined.append(
            replace(
                layers[0],
                rate=float(
                    np.average([x.rate for x in layers[:-1]], weights=[x.updates for x in layers[:-1]])
                ),
                updates=sum(layer.updates for layer in layers),
                ties=None if None in ties else sum(tie or 0 for tie in ties),
                clamps=sum(layer.clamps for layer in layers),
                positive=sum(layer.positive for layer in layers),
                negative=sum(layer.negative for layer in layers),
            )
        )
    return tuple(joined)

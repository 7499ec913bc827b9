"""Holds every leg against the reference, value by value, and says what the samples put to the test."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from exporter.wiring import input_of
from runtime.coding import encode_input
from runtime.errors import ConfigError
from runtime.trace import Trace
from spikepress.exactness import LayerActivity, LegResult, activity, compare
from spikepress.legs import LEGS, QUICK, Artifacts, Coded, Leg, integer_parameters, leg_of, reference_leg
from spikepress.progress import Notify, silent
from spikepress.rundir import run_directory_of
from spikepress.samples import random_samples, raw_samples, stress_samples
from spikepress.saturation import saturated

DEFAULT_LEGS = tuple(leg.value for leg in QUICK)
"""Without torch for a network that was imported: no module trained it."""

CHUNK = 64
"""Samples traced at once: bounds memory at about 100 MB for a 28 x 28 x 16 layer over 8 steps."""


@dataclass(frozen=True)
class Verification:
    """Each leg against the reference on ``samples`` test samples (validation ones follow) and ``stress``
    made-up extreme ones, and ``saturated`` on the stress samples with bounds narrow enough to clamp.
    ``activity`` describes the reference's layers: rates on the test samples, counts over both; ``clamps``
    those of the narrow twin."""

    samples: int
    stress: int
    legs: tuple[LegResult, ...]
    activity: tuple[LayerActivity, ...]
    saturated: tuple[LegResult, ...]
    clamps: int

    @property
    def exact(self) -> bool:
        return all(leg.exact for leg in (*self.legs, *self.saturated))

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence for each leg that departs, and for each layer whose activity proves little."""
        departing = [_departure(leg, "") for leg in self.legs]
        departing += [_departure(leg, " with narrow bounds") for leg in self.saturated]
        idle = (
            f"Layer {layer.layer} spikes in {layer.rate:.2%} of its neuron-steps, expected 1 to 50 %."
            for layer in self.activity
            if not layer.within_limits
        )
        return (*filter(None, departing), *idle)

    def as_json(self) -> dict[str, object]:
        return {"exact": self.exact, **asdict(self), "sentences": list(self.sentences)}


def _departure(leg: LegResult, where: str) -> str:
    return "" if leg.first is None else f"{leg.leg}{where} first departs at {leg.first.sentence}."


def verify(
    model: str | Path,
    *,
    legs: Sequence[str] | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int = 200,
    notify: Notify = silent,
) -> Verification:
    """Runs the reference and ``legs`` on the first ``samples`` test samples, further ones of validation
    where there are fewer, and on 16 stress samples; on random samples where a network was imported and no
    data are given. ``legs``: by default torch, runtime and ONNX, without torch for an imported network.

    Raises SpikepressError for legs, data or artefacts that are missing or damaged; a leg that differs is
    no error but a result.
    """
    artifacts = Artifacts(run_directory_of(model))
    imported = artifacts.run.is_imported
    if legs is None:
        legs = [name for name in DEFAULT_LEGS if not (imported and name == Leg.TORCH.value)]
    chosen = tuple(leg_of(name) for name in legs)
    if not chosen:
        raise ConfigError("verify --legs: found none, expected at least one")
    spec = input_of(artifacts.graph).spec
    if imported and data is None:
        x = random_samples(spec, samples)
    else:
        x = raw_samples(artifacts.run, data, data_dir, samples)
    parts = [(start, x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    parts.append((len(x), stress_samples(spec, x.shape[1:])))
    results: tuple[LegResult, ...] = ()
    seen: list[tuple[LayerActivity, ...]] = []
    for done, (start, raw) in enumerate(parts):
        notify("verify", done / (len(parts) + 1))
        coded = encode_input(raw, spec, first_sample=start)
        expected, found = _run_legs(artifacts, chosen, coded)
        seen.append(activity(expected, integer_parameters(artifacts.graph)[0]))
        results = tuple(_joined(*pair, start) for pair in zip(results or found, found, strict=True))
    twins, clamps = _saturated(artifacts, chosen, coded, expected)
    notify("verify", 1.0)
    return Verification(len(x), len(parts[-1][1]), results, _summed(seen), twins, clamps)


def _run_legs(
    artifacts: Artifacts, legs: tuple[Leg, ...], coded: Coded
) -> tuple[Trace, tuple[LegResult, ...]]:
    """The reference's trace, and each leg held against it."""
    expected = reference_leg(artifacts, coded)
    return expected, tuple(compare(leg.value, expected, LEGS[leg](artifacts, coded)) for leg in legs)


def _saturated(
    artifacts: Artifacts, legs: tuple[Leg, ...], coded: Coded, seen: Trace
) -> tuple[tuple[LegResult, ...], int]:
    """The legs on the narrow twin, and the membranes that it stored at a bound."""
    with tempfile.TemporaryDirectory() as folder:
        twin = saturated(artifacts, seen, Path(folder), legs)
        trace, results = _run_legs(twin, legs, coded)
        layers = activity(trace, integer_parameters(twin.graph)[0])
    return results, sum(layer.clamps for layer in layers)


def _joined(before: LegResult, new: LegResult, start: int) -> LegResult:
    """The result over both parts; the samples of ``new`` are counted from ``start``, 0 in the first part."""
    if start == 0:
        return new
    if new.first is not None:
        new = replace(new, first=replace(new.first, sample=new.first.sample + start))
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

"""Turns what was measured into plots: one function a picture, no drawing here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.cost import Counts, Footprint, ProjectionCounts
from runtime.trace import Trace
from spikepress.plots import Plot, PlotKind, Series


@dataclass(frozen=True)
class StepFigures:
    """Accuracy and effective accumulations per sample if the network were stopped after each step."""

    accuracy: tuple[float, ...]
    effective_acs: tuple[float, ...]


@dataclass(frozen=True)
class StageFigures:
    """Accuracy at a weight sparsity: one point of the curve."""

    name: str
    weight_sparsity: float
    accuracy: float


def accuracy_against_sparsity(pruning: Sequence[StageFigures], stages: Sequence[StageFigures]) -> Plot:
    """The pruning run's epochs on validation data, and the finished stages on test data."""
    curve = Series("validation, while pruning", tuple((p.weight_sparsity, p.accuracy) for p in pruning))
    series = [Series(f"test, {s.name}", ((s.weight_sparsity, s.accuracy),)) for s in stages]
    return Plot(
        "accuracy-vs-sparsity",
        "Accuracy against weight sparsity",
        PlotKind.LINE,
        "weight sparsity",
        "accuracy",
        tuple(s for s in (curve, *series) if s.points),
        note="Lines: each epoch of the pruning run on validation samples. Single points: each stage on the"
        " test samples, which no choice was made on.",
        percent=True,
    )


def flash_by_layer(lines: Sequence[Footprint], code_bytes: int) -> Plot:
    kinds = ("weights", "indices", "pointers", "parameters")
    series = [Series(kind, tuple((line.layer, getattr(line, kind)) for line in lines)) for kind in kinds]
    series.append(Series("code (estimated)", (("code", code_bytes),)))
    return Plot(
        "flash-by-layer",
        "Flash by layer and kind",
        PlotKind.STACKED,
        "layer",
        "bytes",
        _nonzero(series),
        note="Stored bytes, exactly as in the .spk file; the code is an estimate for a plain C kernel.",
    )


def ram_by_layer(lines: Mapping[str, Mapping[str, int]]) -> Plot:
    """``lines``: layer to kind to bytes."""
    kinds = dict.fromkeys(kind for parts in lines.values() for kind in parts)
    series = [
        Series(kind, tuple((layer, parts[kind]) for layer, parts in lines.items() if kind in parts))
        for kind in kinds
    ]
    return Plot("ram-by-layer", "RAM by layer and kind", PlotKind.STACKED, "layer", "bytes", _nonzero(series))


def synops_by_layer(counts: Counts) -> Plot:
    """Per sample: what was needed, what the kernel executed, and what dense execution would do."""
    fields: dict[str, Callable[[ProjectionCounts], int]] = {
        "effective": lambda p: p.effective_acs + p.input_adds,
        "executed": lambda p: p.executed_adds,
        "fan-out (as in many papers)": lambda p: p.fanout_synops,
        "dense": lambda p: p.dense_synops,
    }
    series = tuple(
        Series(
            label, tuple((name, count(part) / counts.samples) for name, part in counts.projections.items())
        )
        for label, count in fields.items()
    )
    return Plot(
        "synops-by-layer",
        "Synaptic operations by layer, per sample",
        PlotKind.GROUPED,
        "layer",
        "additions per sample",
        series,
        note="Effective: spikes times surviving targets, or additions of direct input."
        " Dense: every synapse at every computed step. Every set bit of a payload is an addition of its own.",
    )


def raster(trace: Trace, sample: int) -> Plot:
    """Which neuron spiked when, for one sample of the trace."""
    series = tuple(
        Series(layer, tuple((int(t), int(n)) for t, n in np.argwhere(spikes[:, sample])))
        for layer, spikes in trace.spikes.items()
    )
    return Plot(
        "raster",
        "Spikes of one test sample",
        PlotKind.DOTS,
        "time step",
        "neuron",
        tuple(s for s in series if s.points),
        note="One band a layer, one row a neuron, one dash a spike.",
    )


def accuracy_per_step(steps: StepFigures) -> Plot:
    points = tuple((index, value) for index, value in enumerate(steps.accuracy, start=1))
    return Plot(
        "accuracy-per-step",
        "Accuracy if stopped after a time step",
        PlotKind.LINE,
        "time step",
        "accuracy",
        (Series("accuracy", points),),
        percent=True,
    )


def synops_per_step(steps: StepFigures) -> Plot:
    points = tuple((index, value) for index, value in enumerate(steps.effective_acs, start=1))
    return Plot(
        "synops-per-step",
        "Additions up to a time step, per sample",
        PlotKind.LINE,
        "time step",
        "effective additions",
        (Series("effective", points),),
    )


def drift_by_layer(differing: Mapping[str, float]) -> Plot:
    """Share of neuron-steps whose spike differs between the integer and the real-valued neuron."""
    return Plot(
        "drift-by-layer",
        "Quantization drift by layer",
        PlotKind.GROUPED,
        "layer",
        "share of neuron-steps with another spike",
        (Series("integer against real-valued neuron", tuple(differing.items())),),
        note="The same integer weights, run once with integer neurons and once with real-valued ones.",
        percent=True,
    )


def rates_by_layer(rates: Mapping[str, float]) -> Plot:
    return Plot(
        "rates-by-layer",
        "Spike rate by layer",
        PlotKind.GROUPED,
        "layer",
        "share of neuron-steps with a spike",
        (Series("rate", tuple(rates.items())),),
        percent=True,
    )


def energy_by_basis(lines: Mapping[str, float]) -> Plot:
    return Plot(
        "energy",
        "Energy per inference, three estimates",
        PlotKind.GROUPED,
        "basis",
        "nanojoule (estimated)",
        (Series("nanojoule", tuple(lines.items())),),
        note="Arithmetic and memory: 45 nm figures of Horowitz (2014). Microcontroller: estimated"
        " Cortex-M4 cycles at 150 pJ. The three are not parts of one another.",
    )


def _nonzero(series: Sequence[Series]) -> tuple[Series, ...]:
    return tuple(s for s in series if any(y for _, y in s.points))

"""Compares the traces of several legs, exactly, and finds the first place where one departs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError
from runtime.spec import Fire, IntegerNeuron, Reset
from runtime.trace import Trace

Whole = NDArray[np.int32]


@dataclass(frozen=True)
class Place:
    """The first (sample, step, layer, neuron) where a leg departs, with both legs' values there."""

    sample: int
    step: int
    layer: str
    neuron: int
    expected_spike: int
    found_spike: int
    expected_membrane: int
    found_membrane: int

    @property
    def sentence(self) -> str:
        return (
            f"sample {self.sample}, step {self.step}, layer {self.layer}, neuron {self.neuron}:"
            f" spike {self.found_spike} (expected {self.expected_spike}),"
            f" membrane {self.found_membrane} (expected {self.expected_membrane})"
        )


@dataclass(frozen=True)
class LegResult:
    """How one leg compares with the reference: counts of differing values, and the first place."""

    leg: str
    differing_spikes: int
    differing_membranes: int
    differing_predictions: int
    first: Place | None

    @property
    def exact(self) -> bool:
        return not (self.differing_spikes or self.differing_membranes or self.differing_predictions)


@dataclass(frozen=True)
class LayerActivity:
    """What a layer did in the reference trace, so that agreement is known to mean something.

    ``updates``: neuron-steps; ``rate``: share of them with a spike. ``ties``: updates that met the
    threshold exactly, or None where a trace cannot tell (a reset to a value hides the membrane before
    it). ``clamps``: stored membranes at a bound. ``positive`` and ``negative``: stored membranes of each
    sign.
    """

    layer: str
    silent: bool
    updates: int
    rate: float
    ties: int | None
    clamps: int
    positive: int
    negative: int

    @property
    def within_limits(self) -> bool:
        """Silent integrators never spike; every other layer must in 1-50 % of its neuron-steps."""
        return self.silent or 0.01 <= self.rate <= 0.5


def compare(leg: str, expected: Trace, found: Trace) -> LegResult:
    """Counts every differing spike, membrane and prediction of ``found`` against ``expected``.

    Both traces are in canonical order, arrays (steps, samples, neurons). ModelError if the layers or
    the shapes are not the same, since then nothing could be compared value by value.
    """
    _check_same_layers(leg, expected, found)
    layers = list(expected.membranes)
    return LegResult(
        leg=leg,
        differing_spikes=sum(_differences(expected.spikes[x], found.spikes[x]) for x in layers),
        differing_membranes=sum(_differences(expected.membranes[x], found.membranes[x]) for x in layers),
        differing_predictions=_differences(expected.predictions, found.predictions),
        first=_first_place(layers, expected, found),
    )


def _differences(expected: NDArray[np.generic], found: NDArray[np.generic]) -> int:
    return int(np.count_nonzero(expected != found))


def _check_same_layers(leg: str, expected: Trace, found: Trace) -> None:
    for kind, wanted, given in (
        ("spikes", expected.spikes, found.spikes),
        ("membranes", expected.membranes, found.membranes),
    ):
        if set(wanted) != set(given):
            raise ModelError(f"verify {leg}, {kind}: found layers {sorted(given)}, expected {sorted(wanted)}")
        for layer, values in wanted.items():
            if given[layer].shape != values.shape:
                raise ModelError(
                    f"verify {leg}, {kind} of layer {layer}: found shape {given[layer].shape},"
                    f" expected {values.shape}"
                )


def _first_place(layers: Sequence[str], expected: Trace, found: Trace) -> Place | None:
    """Smallest sample, then step, then layer in running order, then neuron."""
    best: tuple[int, int, int, int] | None = None
    for index, layer in enumerate(layers):
        differs = expected.spikes[layer] != found.spikes[layer]
        differs |= expected.membranes[layer] != found.membranes[layer]
        at = np.argwhere(differs.transpose(1, 0, 2))
        if len(at):
            sample, step, neuron = (int(value) for value in at[0])
            candidate = (sample, step, index, neuron)
            best = candidate if best is None else min(best, candidate)
    return None if best is None else _place(best, layers, expected, found)


def _place(at: tuple[int, int, int, int], layers: Sequence[str], expected: Trace, found: Trace) -> Place:
    sample, step, index, neuron = at
    layer, where = layers[index], (step, sample, neuron)
    return Place(
        sample=sample,
        step=step,
        layer=layer,
        neuron=neuron,
        expected_spike=int(expected.spikes[layer][where]),
        found_spike=int(found.spikes[layer][where]),
        expected_membrane=int(expected.membranes[layer][where]),
        found_membrane=int(found.membranes[layer][where]),
    )


def activity(trace: Trace, neurons: Mapping[str, IntegerNeuron]) -> tuple[LayerActivity, ...]:
    """Rates, ties, clamps and signs of every layer that has a membrane, in the trace's order."""
    return tuple(
        _layer_activity(layer, trace.spikes[layer], trace.membranes[layer], neurons[layer])
        for layer in trace.membranes
    )


def _layer_activity(layer: str, spikes: Whole, membranes: Whole, neuron: IntegerNeuron) -> LayerActivity:
    at_bound = (membranes == neuron.v_min) | (membranes == neuron.v_max)
    return LayerActivity(
        layer=layer,
        silent=neuron.fire is Fire.SILENT,
        updates=spikes.size,
        rate=float(np.count_nonzero(spikes)) / max(1, spikes.size),
        ties=_ties(spikes, membranes, neuron),
        clamps=int(np.count_nonzero(at_bound)),
        positive=int(np.count_nonzero(membranes > 0)),
        negative=int(np.count_nonzero(membranes < 0)),
    )


def _ties(spikes: Whole, membranes: Whole, neuron: IntegerNeuron) -> int | None:
    """Fired updates whose membrane before the reset equaled the threshold."""
    if neuron.fire is Fire.SILENT:
        return 0
    if neuron.reset is Reset.VALUE:
        return None
    count = membranes.shape[-1]
    before = membranes.astype(np.int64)
    if neuron.reset is Reset.SUBTRACT and neuron.fire is Fire.GRADED:
        before += spikes.astype(np.int64) << expand(neuron.payload_shift, count)
    elif neuron.reset is Reset.SUBTRACT:
        before += np.where(spikes > 0, expand(neuron.reset_q, count), 0)
    return int(np.count_nonzero((spikes > 0) & (before == expand(neuron.threshold_q, count))))


def expand(values: Sequence[int], count: int) -> NDArray[np.int64]:
    """One value per neuron from one for all, one per channel or one per neuron."""
    return np.repeat(np.asarray(values, dtype=np.int64), count // len(values))

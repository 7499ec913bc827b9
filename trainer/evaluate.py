"""Runs a net over samples: scores, predictions, and how active each population is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.coding import encode
from trainer.integer import evaluating
from trainer.models import SpikingNet, predictions
from trainer.neuron import Neuron, Observer


class Labeled(Protocol):
    """Raw integer samples ``x`` (n, …) and labels ``y`` (n, …): what ``trainer.datasets`` gives."""

    @property
    def x(self) -> NDArray[Any]: ...
    @property
    def y(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Evaluation:
    """Scores (n, outputs), predictions (n,), and spikes per neuron and step of each population."""

    scores: NDArray[np.float64]
    predictions: NDArray[np.int64]
    rates: dict[str, float]


def evaluate(net: SpikingNet, samples: Labeled, *, batch_size: int = 250) -> Evaluation:
    """Run ``net`` in evaluation mode over all samples, in order.

    In integers when integers are attached (then the scores are whole), in reals otherwise.
    """
    meter = RateMeter()
    scores: list[Tensor] = []
    place = next(net.parameters()).device
    with evaluating(net), torch.no_grad(), meter.watching(net):
        for start in range(0, len(samples.x), batch_size):
            numbers = np.arange(start, min(start + batch_size, len(samples.x)))
            x = encode(samples.x[numbers], net.input, numbers)
            out = net(x if place.type == "cpu" else x.to(place))
            scores.append(net.scores(out).double().cpu())
    every = torch.cat(scores)
    return Evaluation(every.numpy(), predictions(every).numpy(), meter.rates())


class RateMeter:
    """Mean payloads per neuron and step, by population."""

    def __init__(self) -> None:
        self._spikes: dict[str, float] = {}
        self._places: dict[str, int] = {}

    @contextmanager
    def watching(self, net: SpikingNet) -> Iterator[None]:
        """Measure what the net does for a while; silent populations are left out."""
        observers = {name: self._observer(name) for name in net.neurons()}
        for name, neuron in net.neurons().items():
            sinks(net, neuron).append(observers[name])
        try:
            yield
        finally:
            for name, neuron in net.neurons().items():
                sinks(net, neuron).remove(observers[name])

    def rates(self) -> dict[str, float]:
        return {name: total / self._places[name] for name, total in self._spikes.items()}

    def _observer(self, name: str) -> Observer:
        def observe(u: Tensor, spikes: Tensor) -> None:
            self._spikes[name] = self._spikes.get(name, 0.0) + float(spikes.sum())
            self._places[name] = self._places.get(name, 0) + spikes.numel()

        return observe


def sinks(net: SpikingNet, neuron: Neuron) -> list[Observer]:
    """Where an observer must listen: the recorders of an integer run, the observers of a real one."""
    return neuron.recorders if net.whole else neuron.observers

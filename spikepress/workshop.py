"""Makes the models that ``fit`` chooses from: compressed, in integers, exactly sized, measured, kept.

Every model is kept in the run directory under the hash of what it was made from: the trained network, the
samples, the recipe and this package's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.plan import plan, schedules
from exporter.quantize import quantize
from exporter.sources.torch import graph_from_torch
from pruner.compression import Calibration, Compression
from pruner.granularity import BLOCKS, Granularity
from pruner.post_training import Calibrated
from runtime.coding import encode_input
from runtime.cost import Counts
from runtime.engine import Engine
from runtime.program import Program
from spikepress import __version__
from spikepress.card import encodings_of
from spikepress.estimate import Estimator, Known
from spikepress.fit_verdict import Layout, Model
from spikepress.flows import worst_synops
from spikepress.model_file import keep, kept
from spikepress.needs import needs_of
from spikepress.progress import Notify, silent
from spikepress.recipe import Recipe
from spikepress.search import Estimate
from spikepress.work import mean_work, worst_work
from trainer.datasets import Samples
from trainer.models import SpikingNet

CALIBRATION = Calibration(samples=4096)
GRANULARITIES = {1: Granularity.WEIGHT} | {size: kind for kind, size in BLOCKS.items()}
SWEEPS = 2
"""Four take twice the time and give the same: 96.2 against 96.6 and 96.5 against 96.5 % for two models of an
MNIST network on 4,000 validation samples; none gives 95.2."""
VALIDATION_SAMPLES = 4000
"""Fewer if the set has fewer: an accuracy near 97 % is then known to 0.3 points."""


@dataclass(frozen=True)
class Source:
    """What models are made from. ``origin`` is the hash of the trained network's file."""

    net: SpikingNet
    origin: str
    train: Samples
    validation: Samples
    folder: Path
    """Where models are kept."""


@dataclass
class Workshop:
    """Makes each model once. ``made`` and ``found`` count those made now and those kept from before."""

    source: Source
    known: Known | None = None
    """A model that was measured before any is made."""
    notify: Notify = silent
    made: int = 0
    found: int = 0
    _nets: dict[Recipe, SpikingNet] = field(default_factory=dict)

    @cached_property
    def estimator(self) -> Estimator:
        return Estimator(self.source.net, self.known)

    @cached_property
    def _estimates(self) -> dict[Recipe, Estimate | None]:
        return {}

    def estimate(self, recipe: Recipe) -> Estimate | None:
        if recipe not in self._estimates:
            self._estimates[recipe] = self.estimator.of(recipe)
        return self._estimates[recipe]

    def make(self, recipe: Recipe) -> Model:
        key = self._key(recipe)
        model = kept(self._path(key), recipe, key)
        if model is not None:
            self.found += 1
        else:
            model = self.measured(self.program(recipe), recipe, key)
            keep(self._path(key), model)
            self.made += 1
        # How many there will be is not known: the bar slows down and never claims to be done.
        self.notify("models tried", 1 - 0.85 ** (self.made + self.found))
        return model

    def net(self, recipe: Recipe) -> SpikingNet:
        """The recipe's network with its whole weights."""
        if recipe not in self._nets:
            self._nets[recipe] = self._calibrated.compress(self._wish(recipe)).net
        return self._nets[recipe]

    def program(self, recipe: Recipe) -> Program:
        return program_of(self.net(recipe))

    def measured(self, program: Program, recipe: Recipe | None, key: str = "") -> Model:
        """The model of a program: exact needs, and accuracy and additions on validation samples."""
        x, y = self._validation
        coded = encode_input(x, program.input)
        result = Engine(program).run(coded)
        counts = result.counts
        return Model(
            recipe=recipe,
            layouts=_worked(program, layouts_of(program), counts, coded),
            accuracy=float(np.mean(result.predictions == y)),
            synops=(counts.effective_acs + counts.input_adds) / counts.samples,
            worst_synops=worst_synops(program),
            encodings=encodings_of(program),
            key=key,
        )

    def _wish(self, recipe: Recipe) -> Compression:
        column = recipe.column
        fan_in = self.estimator.fan_in(column, self.estimator.kept(recipe))
        assert fan_in is not None
        return Compression(
            sparsity=1.0 - recipe.density,
            bits=column.bits,
            last=column.last,
            granularity=GRANULARITIES[column.block],
            fan_in=fan_in,
            sweeps=SWEEPS,
        )

    @cached_property
    def _calibrated(self) -> Calibrated:
        self.notify("calibration", 0.0)
        done = Calibrated(self.source.net, self.source.train, CALIBRATION)
        self.notify("calibration", 1.0)
        return done

    @cached_property
    def _validation(self) -> tuple[Any, Any]:
        """Evenly spread validation samples and their labels; of labels per step the last."""
        samples = self.source.validation
        count = min(VALIDATION_SAMPLES, len(samples))
        index = np.linspace(0, len(samples) - 1, count).round().astype(np.int64)
        labels = np.asarray(samples.y)[index]
        return samples.x[index], labels if labels.ndim == 1 else labels[:, -1]

    @cached_property
    def _content(self) -> Mapping[str, object]:
        return {
            "spikepress": __version__,
            "network": self.source.origin,
            "calibration": asdict(CALIBRATION),
            "sweeps": SWEEPS,
            "train": _hash(self.source.train.x),
            "validation": [_hash(part) for part in self._validation],
            "threads": torch.get_num_threads(),
        }

    def _key(self, recipe: Recipe) -> str:
        text = json.dumps({**self._content, "recipe": recipe.as_json()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _path(self, key: str) -> Path:
        return self.source.folder / f"{key}.json"


def program_of(net: SpikingNet) -> Program:
    """The program of a network whose weights are whole, dead neurons dropped."""
    return lower(drop_dead(quantize(simplify(graph_from_torch(net.eval())))))


def layouts_of(program: Program) -> tuple[Layout, ...]:
    """Exact needs under every schedule, the fastest first."""
    return tuple(Layout(o, needs_of(program, plan(program, o))) for o in schedules(program))


def _worked(
    program: Program, layouts: tuple[Layout, ...], counts: Counts, coded: NDArray[np.int32]
) -> tuple[Layout, ...]:
    """The layouts with the work that was counted, and the most it can be."""
    return tuple(
        replace(
            layout,
            work=mean_work(program, layout.schedule, counts, coded),
            worst_work=worst_work(program, layout.schedule),
        )
        for layout in layouts
    )


def _hash(values: Any) -> str:
    array = np.ascontiguousarray(values)
    head = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()

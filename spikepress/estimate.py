"""What a recipe's model would need, before it is made: a network of that shape with other weights.

RAM and neuron parameters come from a real memory plan of that network; tables are taken a little above the
entropy of as many weights as the recipe keeps. ``spikepress.search`` corrects both by models it made.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.plan import PlanOptions, plan, schedules
from exporter.quantize import QuantizeOptions, quantize
from exporter.sources.torch import graph_from_torch
from pruner.neuron_choice import chains, consumer_mask
from pruner.topology import prunable_layers
from runtime.cost import table_bytes
from runtime.encodings.bounds import binary_entropy
from runtime.errors import ModelError, UnsupportedError
from runtime.program import DiagonalSynapses, EncodedMatrix, Program
from spikepress.catalog import Resource
from spikepress.fit_verdict import Layout, Model
from spikepress.needs import needs_of
from spikepress.recipe import Column, Recipe
from spikepress.search import Estimate
from spikepress.work import Work, thinner
from trainer.integer import detach
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm
from trainer.quant import WeightBits

HALF_STEP = 0.25
"""Shares of neurons are powers of the half root; a wish this near (in octaves) means one of them."""
READOUT_SHARE = 0.5
"""What ``pruner.post_training`` keeps of the readout, of at most a third of the budget."""
VALUE_BITS = {"8": 6.6, "4": 2.7, "3": 1.7, "2": 1.3, "ternary": 1.0}
"""Stored bits of a kept weight, and the share of kept weights that rounding leaves nonzero: both as found on
a pruned MNIST network. Other networks differ; the first model made says by how much."""
NONZERO = {"8": 1.0, "4": 0.98, "3": 0.8, "2": 0.7, "ternary": 0.5}
MAX_WORK = 2e11
"""Multiplications of rounding a model: what takes a minute on one core of a laptop."""
SCALES_TRIED = 8


@dataclass(frozen=True)
class _Shape:
    """A network with a share of its hidden neurons: its program under every schedule."""

    program: Program
    layouts: tuple[Layout, ...]

    @cached_property
    def stored(self) -> int:
        """Bytes of the tables whose weights a recipe decides."""
        return sum(table_bytes(self.program.tables[number]) for number in self.readout + self.hidden)

    @cached_property
    def readout(self) -> tuple[int, ...]:
        return self._numbers(True)

    @cached_property
    def hidden(self) -> tuple[int, ...]:
        return self._numbers(False)

    def _numbers(self, is_readout: bool) -> tuple[int, ...]:
        found = {
            p.table: p.post == self.program.output
            for p in self.program.projections
            if not isinstance(p.synapses, DiagonalSynapses)
        }
        return tuple(number for number, last in found.items() if last == is_readout)


@dataclass(frozen=True)
class Known:
    """A model that was measured: its density, and what an inference took."""

    density: float
    model: Model

    def synops(self, density: float) -> float:
        return self.model.synops * density / self.density

    def work(self, schedule: PlanOptions, density: float) -> Work | None:
        found = next((x.work for x in self.model.layouts if x.schedule == schedule), None)
        return None if found is None else thinner(found, density / self.density)


class Estimator:
    """Estimates for one trained network; without a ``known`` model nothing is said of what a model does."""

    def __init__(self, net: SpikingNet, known: Known | None = None) -> None:
        copied = detach(copy.deepcopy(net)).eval()
        self._net = copied if copied.folded else fold_batch_norm(copied)
        self._known = known
        self._shapes: dict[float, _Shape | None] = {}
        self.refusal: ModelError | UnsupportedError | None = None
        """Why no recipe can be made, where that is so."""
        layers = prunable_layers(self._net)
        self.layers = len(layers)
        self.weights = sum(layer.weight.numel() for layer in layers.values())
        self.channels = sum(chain.channels for chain in chains(self._net))

    def kept(self, recipe: Recipe) -> int:
        return int(recipe.density * self.weights + 1e-6)

    def fan_in(self, column: Column, kept: int) -> int | None:
        """What ``Compression.fan_in`` must be for the column's share of neurons; None if nothing will do."""
        if column.neurons == 1.0:
            return 0
        if not self.channels:
            return None
        wanted = max(1, round(kept / (column.neurons * self.channels)))
        got = kept / (wanted * self.channels)
        return wanted if abs(math.log2(got / column.neurons)) < 0.99 * HALF_STEP else None

    def of(self, recipe: Recipe) -> Estimate | None:
        column, kept = recipe.column, self.kept(recipe)
        if kept < 2 * self.layers or self.fan_in(column, kept) is None:
            return None
        shape = self._shape(column.neurons)
        if shape is None:
            return None
        weights = _shared_out(shape, kept)
        if weights is None or _work(shape, weights, column) > MAX_WORK:
            return None
        tables = sum(
            _table_bytes(shape.program.tables[number], found, recipe, number in shape.readout)
            for number, found in weights.items()
        )
        more = tables - shape.stored
        layouts = tuple(_adjusted(layout, more, sum(weights.values())) for layout in shape.layouts)
        known, density = self._known, NONZERO[column.bits] * recipe.density
        if known is None:
            return Estimate(layouts)
        done = tuple(replace(x, work=known.work(x.schedule, density)) for x in layouts)
        return Estimate(done, known.synops(density))

    def _shape(self, neurons: float) -> _Shape | None:
        if neurons not in self._shapes:
            try:
                self._shapes[neurons] = _shape_of(self._net, neurons)
            except (ModelError, UnsupportedError) as error:
                self._shapes[neurons], self.refusal = None, error
        return self._shapes[neurons]


def _shape_of(net: SpikingNet, neurons: float) -> _Shape:
    real = simplify(graph_from_torch(_thinned(net, neurons)))
    program = lower(drop_dead(quantize(real, QuantizeOptions())), "dense")
    layouts = tuple(Layout(o, needs_of(program, plan(program, o))) for o in schedules(program))
    return _Shape(program, layouts)


def _thinned(net: SpikingNet, neurons: float) -> SpikingNet:
    """The network with evenly spread hidden neurons cut off, so that this share is left."""
    if neurons == 1.0:
        return net
    thin = copy.deepcopy(net)
    layers = prunable_layers(thin)
    rows = {name: torch.ones(len(layer.weight), dtype=torch.bool) for name, layer in layers.items()}
    masks = {name: torch.ones(layer.weight.shape) for name, layer in layers.items()}
    for chain in chains(thin):
        alive = torch.zeros(chain.channels, dtype=torch.bool)
        alive[torch.linspace(0, chain.channels - 1, max(1, int(neurons * chain.channels))).long()] = True
        for producer in chain.producers:
            rows[producer] &= alive.repeat_interleave(len(rows[producer]) // chain.channels)
        heard = consumer_mask(chain, layers[chain.consumer], alive)
        masks[chain.consumer] *= heard.view(masks[chain.consumer][0].shape)
    with torch.no_grad():
        for name, layer in layers.items():
            masks[name][~rows[name]] = 0.0
            layer.set_mask(masks[name])
            if layer.bias is not None:
                layer.bias[~rows[name]] = 0.0
    return thin


def _shared_out(shape: _Shape, kept: int) -> dict[int, int] | None:
    """Weights by table: the readout by its share, the others by their size; None where they do not go in."""
    cells = {number: _cells(shape.program.tables[number]) for number in shape.readout + shape.hidden}
    last = sum(cells[number] for number in shape.readout)
    first = sum(cells[number] for number in shape.hidden)
    tail = kept if not first else max(1, min(int(READOUT_SHARE * last), kept // 3))
    if kept - tail > first:
        tail = kept - first
    if tail > last:
        return None
    parts = {number: tail * cells[number] // last for number in shape.readout}
    return parts | {number: (kept - tail) * cells[number] // first for number in shape.hidden}


def _work(shape: _Shape, weights: dict[int, int], column: Column) -> float:
    """Multiplications of rounding: a factorization for every output, of its living inputs."""
    tables = shape.program.tables
    tries = 1 if column.bits == "8" else SCALES_TRIED
    return sum(
        tries * tables[number].columns * (found / tables[number].columns) ** 3
        for number, found in weights.items()
    )


def _table_bytes(table: EncodedMatrix, kept: int, recipe: Recipe, is_readout: bool) -> int:
    column, cells = recipe.column, _cells(table)
    name = column.last if is_readout else column.bits
    nonzero = NONZERO[name] * kept
    mask = cells / column.block * binary_entropy(min(1.0, nonzero / cells))
    sparse = (mask + nonzero * VALUE_BITS[name]) / 8
    return int(min(sparse, cells * WeightBits.of(name).bits / 8))


def _cells(table: EncodedMatrix) -> int:
    return table.rows * table.columns


def _adjusted(layout: Layout, more: int, synapses: int) -> Layout:
    needs = dict(layout.needs)
    needs[Resource.FLASH] += more
    needs[Resource.BLOCK_RAM] += 8 * more
    needs[Resource.SYNAPSES] = synapses
    return replace(layout, needs=needs)

"""Turns a graph in real units into one in integers; integers that came from training stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from exporter.calibrate import Observed
from exporter.check import check, check_integer
from exporter.folding import (
    HEADROOM_BITS,
    TIGHT_HEADROOM_BITS,
    Levels,
    bounds,
    fold,
    fraction_bits,
    headroom,
    levels,
    narrowest,
)
from exporter.graph import BatchNorm, Graph, Neuron, Node, Pool, PoolKind, Reals, Scale, Synapse
from exporter.grid import Arrival, Demands, Grid, largest_weight, make_grid
from exporter.ranges import axis_length, current_interval, prove_int32, spread
from exporter.wiring import consumers, fan_in, input_of, neurons, origins
from runtime.errors import ConfigError, ModelError, UnsupportedError
from runtime.spec import MAX_FRAC_BITS, Coding, Fire, FloatNeuron, IntegerNeuron, Readout, StateWidth

WEIGHT_BITS = (2, 3, 4, 8)
SIGN_BITS = 1


@dataclass(frozen=True)
class QuantizeOptions:
    """``bits`` of weights that are not integers yet (2 is ternary); ``width`` of all membranes, or None
    to choose for each population; ``observed`` membranes (``exporter.calibrate``) to keep off the clamp."""

    bits: int = 8
    width: StateWidth | None = None
    observed: Mapping[str, Observed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bits not in WEIGHT_BITS:
            raise ConfigError(f"quantize: found {self.bits} weight bits, expected one of {WEIGHT_BITS}")


def quantize(graph: Graph, options: QuantizeOptions = QuantizeOptions()) -> Graph:
    """Integer graph of a graph whose batch norms and average pools are folded (``passes.simplify``).

    Raises ``UnsupportedError`` naming the layer where scales cannot meet or a sum could leave int32.
    """
    shapes = check(graph)
    _refuse_unfolded(graph)
    changed: dict[str, Node] = {}
    for neuron in neurons(graph):
        changed |= _population(graph, neuron, axis_length(graph, neuron, shapes[neuron.name]), options)
    integer = replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))
    check_integer(integer)
    prove_int32(integer)
    return integer


def _refuse_unfolded(graph: Graph) -> None:
    readers = consumers(graph)
    for node in graph.nodes:
        if isinstance(node, BatchNorm) or (isinstance(node, Pool) and node.kind is PoolKind.AVERAGE):
            raise ModelError(
                f"{node.name}: found a {type(node).__name__} to fold, expected passes.simplify first"
            )
        if isinstance(node, Neuron):
            if isinstance(node.model, IntegerNeuron):
                raise ModelError(f"{node.name}: found an integer neuron, expected a graph in real units")
            for synapse in fan_in(graph, node).synapses:
                if len(readers[synapse.name]) > 1:
                    raise UnsupportedError(f"{synapse.name}: found two readers of its current, expected one")


def _population(graph: Graph, neuron: Neuron, length: int, options: QuantizeOptions) -> dict[str, Node]:
    """The neuron and its synapses in integers, by name."""
    model = neuron.model
    assert isinstance(model, FloatNeuron)
    synapses = fan_in(graph, neuron).synapses
    found = levels(neuron.name, model, _bias(synapses, length))
    shared = neuron.name == graph.output and graph.readout is not Readout.COUNT
    if shared and len(set(model.v_leak)) > 1:
        raise UnsupportedError(f"{neuron.name}: found v_leak per channel in a membrane readout, expected one")
    direct = any(_is_direct(graph, synapse) for synapse in synapses)
    demands = Demands(
        length=length,
        threshold=None if model.fire is Fire.SILENT else found.threshold,
        bits=options.bits,
        power_of_two=model.fire is Fire.GRADED,
        shared=shared,
        fine=direct,
    )
    arrivals = tuple(Arrival(synapse, _event_unit(graph, synapse)) for synapse in synapses)
    grid = make_grid(neuron.name, arrivals, demands)
    most = options.observed[neuron.name].largest if neuron.name in options.observed else 0.0
    fraction = _fraction(model, found, grid, most, direct=direct, options=options)
    whole = {s.name: _integer_synapse(s, grid, fraction, options.bits) for s in synapses}
    unit = grid.unit * 2.0**-fraction
    folded = replace(
        fold(model, found, unit, _payload_levels(model, found, unit)), frac_bits=max(fraction, 0)
    )
    swapped = replace(graph, nodes=tuple(whole.get(node.name, node) for node in graph.nodes))
    width = _width(swapped, neuron, folded, length, options)
    low, high = bounds(width)
    folded = replace(folded, width=width, v_min=low, v_max=high)
    return {**whole, neuron.name: replace(neuron, model=folded, scale=unit)}


def _bias(synapses: tuple[Synapse, ...], length: int) -> Reals:
    total = np.zeros(length)
    for synapse in synapses:
        if not isinstance(synapse, Scale) and synapse.bias is not None:
            total = total + spread(synapse.bias, length)
    return total


def _is_direct(graph: Graph, synapse: Synapse) -> bool:
    spec = input_of(graph).spec
    return spec.coding is Coding.DIRECT and input_of(graph).name in _populations(graph, synapse)


def _populations(graph: Graph, synapse: Synapse) -> set[str]:
    return {origin.population for origin in origins(graph, synapse)}


def _event_unit(graph: Graph, synapse: Synapse) -> float:
    """Real value of a payload of 1: the input's scale behind the input, 1 behind neurons."""
    source = input_of(graph)
    behind = _populations(graph, synapse)
    if source.name not in behind or source.spec.scale == 1.0:
        return 1.0
    if len(behind) > 1:
        raise UnsupportedError(
            f"{synapse.name}: found spikes added to an input of scale {source.spec.scale}, expected scale 1"
        )
    return source.spec.scale


def _fraction(
    model: FloatNeuron, found: Levels, grid: Grid, most: float, *, direct: bool, options: QuantizeOptions
) -> int:
    """Fractional bits of the membrane; negative where direct input is rounded."""
    if model.fire is Fire.SILENT:
        found = replace(found, threshold=grid.unit * largest_weight(options.bits))
    wanted = fraction_bits(model, found, grid.unit, grid.alive)
    size = np.abs(found.threshold[grid.alive]) / grid.unit[grid.alive]
    width = options.width or StateWidth.INT16
    room = min(headroom(size, width, HEADROOM_BITS), headroom(most / grid.unit, width, SIGN_BITS))
    fraction = room if direct and room < 0 else min(wanted, max(room, 0))
    if model.fire is Fire.GRADED:
        lowest = -int(np.rint(np.log2(found.threshold / grid.unit)).min())
        fraction = max(fraction, lowest)
    return min(fraction, MAX_FRAC_BITS)


def _payload_levels(model: FloatNeuron, found: Levels, unit: Reals) -> NDArray[np.int64] | None:
    if model.fire is not Fire.GRADED:
        return None
    return np.rint(np.log2(found.threshold / unit)).astype(np.int64)


def _integer_synapse(synapse: Synapse, grid: Grid, fraction: int, bits: int) -> Synapse:
    name = synapse.name
    changed = replace(
        synapse,
        weight=grid.weights[name],
        scale=grid.scales[name],
        bits=synapse.bits or bits,
        shift=grid.exponents[name] + fraction,
    )
    return changed if isinstance(changed, Scale) else replace(changed, bias=None)


def _width(
    graph: Graph, neuron: Neuron, model: IntegerNeuron, length: int, options: QuantizeOptions
) -> StateWidth:
    """State width: as told, or the narrowest proven one, or 16 bits with clamp, or 32."""
    if options.width is not None:
        _fits_told(neuron.name, model, options.width)
        return options.width
    proven = narrowest(model, current_interval(graph, neuron, length))
    if proven is not StateWidth.INT32 or model.fire is Fire.SILENT:
        return proven
    most = 1 << (StateWidth.INT16 - TIGHT_HEADROOM_BITS)
    values = (*model.threshold_q, *model.reset_q, *model.start_q)
    return StateWidth.INT16 if max(map(abs, values)) <= most else StateWidth.INT32


def _fits_told(name: str, model: IntegerNeuron, width: StateWidth) -> None:
    low, high = bounds(width)
    for value in (*model.threshold_q, *model.start_q):
        if not low <= value <= high:
            raise UnsupportedError(f"{name}: found a level of {value} units, expected it within int{width}")

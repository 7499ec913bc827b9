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
from exporter.graph import (
    BatchNorm,
    Flatten,
    Graph,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Reals,
    Scale,
    Synapse,
    by_name,
)
from exporter.grid import Arrival, Demands, Grid, largest_weight, make_grid
from exporter.ranges import INT32_LIMIT, Interval, axis_length, current_interval, prove_int32, spread
from exporter.shift_leaks import refuse_decays
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
    refuse_decays(graph)
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
    found = levels(neuron.name, model, _bias(neuron, synapses, length))
    direct = any(_is_direct(graph, synapse) for synapse in synapses)
    demands = Demands(
        length=length,
        threshold=None if model.fire is Fire.SILENT else found.threshold,
        bits=options.bits,
        power_of_two=model.fire is Fire.GRADED,
        shared=_is_compared(graph, neuron, model),
        fine=direct,
    )
    arrivals = tuple(Arrival(synapse, _event_unit(graph, synapse)) for synapse in synapses)
    grid = make_grid(neuron.name, arrivals, demands)
    most = _observed(neuron.name, options)
    fraction = _fraction(model, found, grid, most, direct=direct, options=options)
    changed: dict[str, Node] = {s.name: _integer_synapse(s, grid, fraction, options.bits) for s in synapses}
    unit = grid.unit * 2.0**-fraction
    folded = fold(model, found, unit, _payload_levels(model, found, unit))
    _check_sizes(neuron.name, folded)
    swapped = replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))
    current = current_interval(swapped, neuron, length)
    width = options.width or _width(folded, current, most / float(unit.min()))
    low, high = bounds(folded, width)
    folded = replace(folded, frac_bits=max(fraction, 0), width=width, v_min=low, v_max=high)
    _check_levels(neuron.name, folded)
    changed[neuron.name] = replace(neuron, model=folded, scale=unit)
    return changed


def _is_compared(graph: Graph, neuron: Neuron, model: FloatNeuron) -> bool:
    """Whether the membranes of a population's channels are compared: it is read out by its membranes."""
    compared = neuron.name == graph.output and graph.readout is not Readout.COUNT
    if compared and len(set(model.v_leak)) > 1:
        raise UnsupportedError(f"{neuron.name}: found v_leak per channel in a membrane readout, expected one")
    return compared


def _observed(name: str, options: QuantizeOptions) -> float:
    return options.observed[name].largest if name in options.observed else 0.0


def _bias(neuron: Neuron, synapses: tuple[Synapse, ...], length: int) -> Reals:
    """Biases of the synapses, which the neuron takes over: into its membrane, not its synaptic current."""
    total = np.zeros(length)
    for synapse in synapses:
        if isinstance(synapse, Scale) or synapse.bias is None or not synapse.bias.any():
            continue
        if neuron.model.synaptic_leak is not None:
            raise UnsupportedError(
                f"{synapse.name}: found a bias that {neuron.name} would filter through its synaptic current, "
                "expected the bias in the neuron"
            )
        total = total + spread(synapse.bias, length)
    return total


def _is_direct(graph: Graph, synapse: Synapse) -> bool:
    spec = input_of(graph).spec
    return spec.coding is Coding.DIRECT and input_of(graph).name in _populations(graph, synapse)


def _populations(graph: Graph, synapse: Synapse) -> set[str]:
    """Neurons and input behind a synapse; a max pool carries the unit of what it pools."""
    nodes = by_name(graph)
    found = set()
    for origin in origins(graph, synapse):
        node = nodes[origin.population]
        while isinstance(node, Pool | Flatten):
            node = nodes[node.source]
        found.add(node.name)
    return found


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


def _width(model: IntegerNeuron, current: Interval, observed: float) -> StateWidth:
    """The narrowest proven state width, or 16 bits with a clamp, or 32; ``observed`` in membrane units."""
    proven = narrowest(model, current)
    if proven is not StateWidth.INT32 or model.fire is Fire.SILENT:
        return proven
    values = (*model.threshold_q, *model.reset_q, *model.start_q)
    most = 1 << (StateWidth.INT16 - TIGHT_HEADROOM_BITS)
    fits = max(map(abs, values)) <= most and observed <= StateWidth.INT16.highest
    return StateWidth.INT16 if fits else StateWidth.INT32


def _check_sizes(name: str, model: IntegerNeuron) -> None:
    """``UnsupportedError`` for a level that no state of 32 bits meets, before anything counts with it."""
    for value in (*model.threshold_q, *model.reset_q, *model.bias_q, *model.start_q):
        if abs(value) >= INT32_LIMIT:
            raise UnsupportedError(
                f"{name}: found a level of {float(value):.3g} membrane units, expected it below 2^31"
            )


def _check_levels(name: str, model: IntegerNeuron) -> None:
    for value in (*model.threshold_q, *model.start_q):
        if not model.v_min <= value <= model.v_max:
            raise UnsupportedError(
                f"{name}: found a level of {value} units, expected it within int{model.width}"
            )

"""What targets ask of a network, of a graph or of a stored program alike: its populations and synapses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from exporter.graph import Conv, Graph, Linear, Neuron, Pool
from exporter.shapes import shapes
from exporter.wiring import delay_of, fan_in, input_of, neurons
from runtime.encodings import decode
from runtime.program import ConvSynapses, DiagonalSynapses, NeuronPopulation, Program, n_neurons
from runtime.spec import Compare, Fire, FloatNeuron, IntegerNeuron, Leak, Reset, ResetTiming, SynapticOrder


@dataclass(frozen=True)
class PopulationFacts:
    """One population of neurons. ``compare`` and ``reset_timing`` are None where they are folded into
    integers; a leak is None for factors that no shifts say, or where there is no such state."""

    name: str
    shape: tuple[int, ...]
    fire: Fire
    reset: Reset
    compare: Compare | None
    reset_timing: ResetTiming | None
    leak: Leak | None
    synaptic_leak: Leak | None
    synaptic: bool
    synaptic_order: SynapticOrder
    highest: int | None
    """Largest threshold in whole membrane units, where the network is in integers."""
    output: bool

    @property
    def neurons(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class SynapseFacts:
    """The synapses into a population. ``stored`` counts the weights of a kernel once, zeros too."""

    name: str
    post: str
    kind: str
    """"linear", "conv" or "diagonal"."""
    stored: int
    synapses: int
    """Surviving weights of a matrix or a diagonal; surviving kernel weights times places of a convolution."""
    bits: int | None
    channels: tuple[int, int]
    stride: tuple[int, int]
    delay: int
    loop: bool


@dataclass(frozen=True)
class ModelFacts:
    inputs: int
    populations: tuple[PopulationFacts, ...]
    synapses: tuple[SynapseFacts, ...]
    max_pools: tuple[str, ...]

    def into(self, population: str) -> tuple[SynapseFacts, ...]:
        return tuple(one for one in self.synapses if one.post == population)


def facts_of_graph(graph: Graph) -> ModelFacts:
    """The facts of a graph, in real units or in integers."""
    found = shapes(graph)
    order = {node.name: place for place, node in enumerate(graph.nodes)}
    populations = tuple(
        _population(neuron.name, found[neuron.name], neuron.model, neuron.name == graph.output)
        for neuron in neurons(graph)
    )
    synapses = tuple(
        _synapse(node, neuron, found, order)
        for neuron in neurons(graph)
        for node in fan_in(graph, neuron).synapses
    )
    pools = tuple(node.name for node in graph.nodes if isinstance(node, Pool) and node.kind.value == "max")
    return ModelFacts(math.prod(input_of(graph).spec.shape), populations, synapses, pools)


def _population(
    name: str, shape: tuple[int, ...], model: FloatNeuron | IntegerNeuron, output: bool
) -> PopulationFacts:
    real = isinstance(model, FloatNeuron)
    return PopulationFacts(
        name=name,
        shape=shape,
        fire=model.fire,
        reset=model.reset,
        compare=model.compare if isinstance(model, FloatNeuron) else None,
        reset_timing=model.reset_timing if isinstance(model, FloatNeuron) else None,
        leak=None if isinstance(model, FloatNeuron) and model.decay is not None else model.leak,
        synaptic_leak=(
            None
            if isinstance(model, FloatNeuron) and model.synaptic_decay is not None
            else model.synaptic_leak
        ),
        synaptic=model.synaptic_leak is not None,
        synaptic_order=model.synaptic_order,
        highest=None if real else max(model.threshold_q),  # type: ignore[union-attr]
        output=output,
    )


def _synapse(
    node: object, neuron: Neuron, found: dict[str, tuple[int, ...]], order: dict[str, int]
) -> SynapseFacts:
    assert hasattr(node, "weight")
    weight = node.weight
    kind = "linear" if isinstance(node, Linear) else "conv" if isinstance(node, Conv) else "diagonal"
    nonzero = int(np.count_nonzero(weight))
    name: str = node.name  # type: ignore[attr-defined]
    source: str = node.source  # type: ignore[attr-defined]
    places = math.prod(found[name][1:]) if kind == "conv" else 1
    groups = node.groups if isinstance(node, Conv) else 1
    return SynapseFacts(
        name=name,
        post=neuron.name,
        kind=kind,
        stored=int(weight.size),
        synapses=nonzero * places,
        bits=node.bits,  # type: ignore[attr-defined]
        channels=(int(weight.shape[1]) * groups, int(weight.shape[0])) if kind != "diagonal" else (1, 1),
        stride=node.stride if isinstance(node, Conv) else (1, 1),
        delay=delay_of(node),  # type: ignore[arg-type]
        loop=order[source] >= order[neuron.name],
    )


def facts_of_program(program: Program) -> ModelFacts:
    """The facts of a stored network."""
    populations = tuple(
        _population(one.name, one.shape, one.neuron, place == program.output)
        for place, one in enumerate(program.populations)
        if isinstance(one, NeuronPopulation)
    )
    synapses = []
    for one in program.projections:
        table, layout = program.tables[one.table], one.synapses
        conv = isinstance(layout, ConvSynapses)
        places = math.prod(layout.out_shape[1:]) if isinstance(layout, ConvSynapses) else 1
        channels = (
            (layout.in_shape[0], layout.out_shape[0])
            if isinstance(layout, ConvSynapses)
            else (table.rows, table.columns)
        )
        synapses.append(
            SynapseFacts(
                name=one.name,
                post=program.populations[one.post].name,
                kind="conv" if conv else "diagonal" if isinstance(layout, DiagonalSynapses) else "linear",
                stored=table.rows * table.columns,
                synapses=int(np.count_nonzero(decode(table))) * places,
                bits=table.bits,
                channels=channels,
                stride=layout.stride if isinstance(layout, ConvSynapses) else (1, 1),
                delay=one.delay,
                loop=one.pre >= one.post,
            )
        )
    pools = tuple(
        one.name
        for one in program.populations[1:]
        if not isinstance(one, NeuronPopulation) or one.pool is not None
    )
    return ModelFacts(n_neurons(program.populations[0]), populations, tuple(synapses), pools)

"""The rules of each target that a network is checked against: all that it breaks, with what to do about it.

Limits of chips: Rockpool's mapper (Xylo), sinabs' source (DYNAP-CNN, Speck), wikichip.org and Open
Neuromorphic (Loihi). Nothing here runs on a chip: a network without findings may still meet a limit that is
not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from runtime.spec import Compare, Fire, Reset, ResetTiming, SynapticOrder
from spikepress.model_facts import ModelFacts, PopulationFacts

KIBI = 1024
SPECK_WEIGHTS = tuple(KIBI * n for n in (16, 16, 16, 32, 32, 64, 64, 16, 16))
SPECK_NEURONS = tuple(KIBI * n for n in (64, 64, 64, 32, 32, 16, 16, 16, 16))


@dataclass(frozen=True)
class Finding:
    """One thing that a target does not take."""

    target: str
    node: str
    rule: str
    found: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.target}: {self.node}: found {self.found}, expected {self.rule}; {self.remedy}."


Broken = tuple[str, str, str, str]
"""Node, rule, found, remedy."""


def findings(target: str, facts: ModelFacts) -> tuple[Finding, ...]:
    """All that ``target``, a key of ``RULES``, does not take."""
    return tuple(Finding(target, *broken) for broken in RULES[target](facts))


def _nir(facts: ModelFacts) -> Iterator[Broken]:
    lossy = "train it the way NIR says, or export with --lossy and read the measured loss"
    for name in facts.max_pools:
        yield name, "sum or average pools", "a max pool", "train with average pools"
    for one in facts.populations:
        if one.fire is Fire.GRADED:
            yield one.name, "binary spikes", "graded spikes", "train with payloads of one bit"
        if one.fire is not Fire.BINARY:
            continue
        if one.reset is not Reset.VALUE:
            yield one.name, "a reset to a value", f"reset {one.reset.value}", lossy
        if one.compare is Compare.GREATER_EQUAL:
            yield one.name, "a spike above the threshold", "a spike at v >= threshold", lossy
        if one.reset_timing is ResetTiming.NEXT_STEP:
            yield one.name, "a reset in the step of the spike", "one in the next step", lossy
        if one.synaptic and one.synaptic_order is not SynapticOrder.NEW:
            yield one.name, "this step's current", "the current of the step before", lossy


def _xylo(facts: ModelFacts) -> Iterator[Broken]:
    hidden = [one for one in facts.populations if not one.output]
    for sizes, most, what in (
        ([facts.inputs], 16, "inputs"),
        ([one.neurons for one in hidden], 1000, "hidden neurons"),
        ([one.neurons for one in facts.populations if one.output], 8, "output neurons"),
    ):
        if sum(sizes) > most:
            yield (
                "network",
                f"at most {most} {what}",
                f"{sum(sizes)}",
                "prune channels or train a smaller one",
            )
    for name in facts.max_pools:
        yield name, "no pools", "a max pool", "train without it"
    for one in facts.populations:
        yield from _xylo_neuron(one)
    for synapse in facts.synapses:
        if synapse.kind == "conv":
            yield synapse.name, "weights of a matrix", "a convolution", "train with linear layers"
        if synapse.bits is not None and synapse.bits > 8:
            yield synapse.name, "weights of 8 bit", f"{synapse.bits} bit", "quantize to 8 bit"
        if synapse.delay > 1:
            yield synapse.name, "a delay of at most a step", f"{synapse.delay} steps", "train without delays"


def _xylo_neuron(one: PopulationFacts) -> Iterator[Broken]:
    if one.fire is not Fire.BINARY:
        yield one.name, "spiking neurons", f"{one.fire.value} ones", "train a spiking readout"
    elif one.reset is not Reset.SUBTRACT:
        yield one.name, "a reset by subtraction", f"reset {one.reset.value}", "train with reset subtract"
    decays = [("membrane", one.leak)] + ([("synapse", one.synaptic_leak)] if one.synaptic else [])
    for what, leak in decays:
        if leak is None:
            found = f"another factor of the {what}"
            yield one.name, "a decay by one shift", found, "import brings it to the grid of shifts"
        elif len(leak.shifts) != 1:
            found = f"{len(leak.shifts)} shifts of the {what}"
            yield one.name, "a decay by one shift", found, "train with beta = 1 - 2^-k"
    if one.highest is not None and one.highest >= 1 << 15:
        yield one.name, "thresholds of 16 bit", f"{one.highest}", "quantize with fewer fractional bits"


def _speck(facts: ModelFacts) -> Iterator[Broken]:
    layers = [one for one in facts.populations if facts.into(one.name)]
    if len(layers) > len(SPECK_WEIGHTS):
        yield "network", f"at most {len(SPECK_WEIGHTS)} layers", f"{len(layers)}", "train a shallower network"
    need = [(sum(s.stored for s in facts.into(one.name)), one.neurons) for one in layers]
    if len(layers) <= len(SPECK_WEIGHTS) and not _placed(need):
        found = ", ".join(f"{one.name} {w:,} + {n:,}" for one, (w, n) in zip(layers, need, strict=True))
        rule = "a core with room for each layer's weights (16 to 64 Ki) and neurons (64 to 16 Ki)"
        yield (
            "network",
            rule,
            found,
            "narrow the layers; zeros are stored, so that pruned weights take room too",
        )
    for one in facts.populations:
        if one.fire is not Fire.BINARY:
            yield one.name, "spiking neurons", f"{one.fire.value} ones", "train a spiking readout"
        if one.synaptic:
            yield one.name, "neurons without synaptic state", "a synaptic current", "train IF neurons"
        if one.leak is None or one.leak.shifts:
            yield one.name, "neurons that do not leak", "a leak", "train IF neurons"
    for synapse in facts.synapses:
        if max(synapse.channels) > 1024 and synapse.kind == "conv":
            found = f"{max(synapse.channels)}"
            yield synapse.name, "at most 1,024 channels", found, "train a narrower layer"
        if not set(synapse.stride) <= {1, 2, 4, 8}:
            yield synapse.name, "strides of 1, 2, 4 or 8", f"{synapse.stride}", "change the stride"
        if synapse.loop or synapse.delay:
            yield synapse.name, "no loops and no delays", "one", "train a feed-forward network"
        if synapse.bits is not None and synapse.bits > 8:
            yield synapse.name, "weights of 8 bit", f"{synapse.bits} bit", "quantize to 8 bit"


def _placed(need: list[tuple[int, int]], free: tuple[int, ...] | None = None) -> bool:
    """Whether every layer finds a core of its own: weights and neurons."""
    if not need:
        return True
    cores = tuple(range(len(SPECK_WEIGHTS))) if free is None else free
    (weights, neurons), rest = need[0], need[1:]
    kinds = {(SPECK_WEIGHTS[c], SPECK_NEURONS[c]): c for c in cores}
    fitting = [c for (w, n), c in kinds.items() if weights <= w and neurons <= n]
    return any(_placed(rest, tuple(c for c in cores if c != core)) for core in fitting)


def _loihi(facts: ModelFacts, *, neurons: int, synapses: int) -> Iterator[Broken]:
    count, total = sum(p.neurons for p in facts.populations), sum(s.synapses for s in facts.synapses)
    if count > neurons:
        yield "network", f"at most {neurons:,} neurons", f"{count:,}", "prune channels"
    if total > synapses:
        yield "network", f"at most {synapses:,} synapses", f"{total:,}", "prune weights"
    for synapse in facts.synapses:
        if synapse.bits is not None and synapse.bits > 8:
            yield synapse.name, "weights of 8 bit", f"{synapse.bits} bit", "quantize to 8 bit"
        if synapse.delay > 62:
            yield synapse.name, "delays of at most 62 steps", f"{synapse.delay}", "train with shorter delays"


def _loihi1(facts: ModelFacts) -> Iterator[Broken]:
    for one in facts.populations:
        if one.fire is Fire.GRADED:
            yield one.name, "binary spikes", "graded ones", "train with payloads of one bit, or use Loihi 2"
    yield from _loihi(facts, neurons=128 * 1024, synapses=130_000_000)


def _loihi2(facts: ModelFacts) -> Iterator[Broken]:
    yield from _loihi(facts, neurons=1_000_000, synapses=120_000_000)


RULES: Mapping[str, Callable[[ModelFacts], Iterator[Broken]]] = {
    "nir": _nir,
    "xylo": _xylo,
    "speck": _speck,
    "loihi1": _loihi1,
    "loihi2": _loihi2,
}
"""What each target's rules make of a network; ``spikepress`` itself is asked by building (``checking``)."""

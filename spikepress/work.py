"""What an inference makes generated C do, as counts of the pieces of its loops: what a core's cycles are
fitted to, and what is set against its clock.

The counts of reads and additions are those that the engine measured (or, for the worst case, the most that
can be); how much a read or a neuron's step does follows from the network alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from exporter.plan import Order, PlanOptions, plan
from exporter.targets.c_neurons import Gate, Neurons
from exporter.targets.c_source import Firmware, describe
from exporter.targets.c_synapses import STREAMS, Source, Synapse
from runtime.cost import Counts
from runtime.encodings import decode, nonzeros
from runtime.errors import UnsupportedError
from runtime.program import EncodedMatrix, GatePopulation, Program, n_neurons
from spikepress.flows import Flow, measured_flow, most_flow

Coded = NDArray[np.integer]
Work = Mapping[str, float]
"""Times that each piece is done in an inference, by the name of the piece."""


READ = " read"
BY_WEIGHT = (" item", " bit", " addition")
"""Endings of the pieces that are done for every stored weight."""


def labels_of(work: Work) -> set[str]:
    """The kinds of projection and table that the work reads rows of."""
    return {name.removesuffix(READ) for name in work if name.endswith(READ)}


def thinner(work: Work, share: float) -> Work:
    """About the work when this share of the weights is left."""
    return {name: times * (share if name.endswith(BY_WEIGHT) else 1.0) for name, times in work.items()}


def mean_work(program: Program, options: PlanOptions, counts: Counts, coded: Coded) -> Work | None:
    """The mean work of the inferences that were counted, of this coded input; None where there is no C code
    for it, or none that is known here."""
    firmware = _firmware(program, options)
    if firmware is None:
        return None
    flows = {k: measured_flow(program, p, counts) for k, p in enumerate(program.projections)}
    spikes = {name: found.spikes / counts.samples for name, found in counts.populations.items()}
    return _work(firmware, flows, spikes, digit_share(coded))


def worst_work(program: Program, options: PlanOptions) -> Work | None:
    """The work when every neuron fires in every step with every bit of its payload, and every bit of the
    input is set."""
    firmware = _firmware(program, options)
    if firmware is None:
        return None
    flows = {k: most_flow(program, p) for k, p in enumerate(program.projections)}
    steps = program.input.n_steps
    spikes = {p.name: float(n_neurons(p) * steps) for p in program.populations}
    bits = program.input.bits
    return _work(firmware, flows, spikes, (bits // 2 + 1) / bits)


def digit_share(coded: Coded) -> float:
    """Signed digits over ones of all payloads together: of those without neighbors, v has as many as v and
    3v differ in bits (Reitwiesner 1960)."""
    values = np.abs(coded).astype(np.uint32)
    ones = int(np.bitwise_count(values).sum())
    return int(np.bitwise_count(values ^ (3 * values)).sum()) / ones if ones else 1.0


def _firmware(program: Program, options: PlanOptions) -> Firmware | None:
    """None where there is no C code, or none whose pieces are known here: of one row at a time."""
    if options.order is Order.ROWS:
        return None
    try:
        return describe(program, plan(program, options))
    except UnsupportedError:
        return None


def _work(firmware: Firmware, flows: Mapping[int, Flow], spikes: Mapping[str, float], digits: float) -> Work:
    steps = firmware.program.input.n_steps
    found: defaultdict[str, float] = defaultdict(float)
    pieces = [("sample", 1.0), ("step", float(steps))]
    for synapse in firmware.synapses:
        if not synapse.empty:
            table = firmware.program.tables[synapse.table.number]
            flow = flows[synapse.number]
            flow = flow.in_digits(digits) if synapse.digits else flow
            pieces += _projection(synapse, table, flow, 1 if synapse.once else steps)
    for neurons in firmware.neurons:
        pieces += _neurons(neurons, steps, spikes[neurons.name])
    for gate in firmware.gates:
        pieces += _gate(gate, steps, _gated(firmware.program, gate, spikes))
    pieces += _input(firmware, flows)
    for name, times in pieces:
        found[name] += times
    return {name: times for name, times in found.items() if times}


def _projection(s: Synapse, table: EncodedMatrix, flow: Flow, frames: int) -> Iterator[tuple[str, float]]:
    yield from _source(s.source, flow.events, frames)
    if s.split:
        yield "split", flow.events
    if s.pooling:
        yield "pooled", flow.events
    if s.grid:
        yield "tap", flow.events * s.grid.taps
    if s.rounding:
        yield "rounded projection", frames
    label, reads = label_of(s), flow.events if s.once_read else flow.reads
    yield label + READ, reads
    if s.kind != "diagonal":
        whole = s.table.encoding in ("dense", "bitmap")
        yield f"{label} item", reads * _items(s, table) * (1.0 if whole else flow.fullness)
    if s.table.encoding in STREAMS:
        yield f"{label} bit", reads * flow.fullness * 8 * table.arrays["stream"].size / table.rows
    if s.table.encoding == "huffman":
        yield f"{label} code bit", reads * flow.fullness * _code_bits(table) / table.rows
    adds = flow.adds * _zeros_too(s, table)
    if s.kind == "conv" or s.once_read or s.table.encoding == "bitmap":
        yield f"{label} addition", adds
    if s.shifted:
        yield "shifted addition", adds
    if s.source.signed:
        yield "signed addition", adds


def label_of(s: Synapse) -> str:
    """What tells the row loops of two projections apart."""
    encoding, bits = s.table.encoding, s.table.bits
    whole = encoding in ("packed", "records", "signs", *STREAMS) or bits in (8, 16)
    return f"{s.kind} {encoding}" + ("" if whole else f" of {bits} bits")


def _items(s: Synapse, table: EncodedMatrix) -> float:
    """Places of a row that its loop comes to, on average."""
    if s.table.encoding in ("dense", "bitmap"):
        return float(table.columns)
    if s.table.encoding.startswith("blocks"):
        size = int(s.table.encoding.removeprefix("blocks"))
        return table.arrays["indices"].size * size / table.rows
    if s.table.encoding == "gaps":
        return table.arrays["codes"].size / table.rows
    return nonzeros(table) / table.rows


def _code_bits(table: EncodedMatrix) -> int:
    """Bits of all weights' Huffman codes: their loop takes them one by one."""
    counts, symbols = (table.arrays[name].astype(np.int64) for name in ("counts", "symbols"))
    weights = decode(table)
    low = int(symbols.min())
    lengths = np.zeros(int(symbols.max()) - low + 1, np.int64)
    lengths[symbols - low] = np.repeat(np.arange(1, counts.size + 1), counts) if counts.size else 0
    return int(lengths[weights[weights != 0] - low].sum())


def _zeros_too(s: Synapse, table: EncodedMatrix) -> float:
    """Additions for each of a weight that is not zero: more where stored zeros are added like others."""
    if s.table.encoding == "dense" or s.table.encoding.startswith("blocks"):
        return _items(s, table) * table.rows / nonzeros(table)
    return 1.0


def _source(source: Source, events: float, frames: int) -> Iterator[tuple[str, float]]:
    if source.kind == "frame":
        yield "scanned value", source.neurons * frames
    elif source.kind == "planes" and source.bits > 1:
        yield "scanned payload", source.neurons * source.bits * frames
    elif source.kind == "planes":
        yield "scanned byte", source.neurons / 8 * frames
    yield f"event of a {source.kind}", events


def _neurons(p: Neurons, steps: int, spikes: float) -> Iterator[tuple[str, float]]:
    c, updates = p.currents, float(p.size * steps)
    yield "start", p.size
    yield "update", updates
    yield "leak", updates * (len(p.leak) + len(p.synaptic_leak))
    yield "bias", updates * ("bias_q" in p.parameters)
    yield "clamp", updates * (p.clamps + bool(p.synaptic))
    yield (
        "parameter by neuron",
        updates * sum(found.neuron.startswith("p") for found in p.parameters.values()),
    )
    yield "synaptic", updates * bool(p.synaptic)
    yield "shifted current", updates * (c.shift != 0)
    yield "comparison", updates * (p.fire != "silent")
    yield "score", updates * p.scores.startswith("membrane")
    if p.pool:
        yield "pooled current", updates
        yield "pooled cell", updates * p.pool.kernel[0] * p.pool.kernel[1]
    if p.out:
        yield f"spike to a {p.out.kind}", spikes
        yield "cleared byte", p.out.member.slot_bytes * steps * (p.out.kind == "planes")
    if c.moving:
        yield "copied sum" if c.constant else "cleared sum", c.cells * steps
    yield "rounded sum", c.cells * steps * sum(bool(s.rounding) for s in c.moving)
    yield "sum once", c.cells * bool(c.once) + c.cells * sum(bool(s.rounding) for s in c.once)


def _gated(program: Program, gate: Gate, spikes: Mapping[str, float]) -> float:
    """Events that reach a gate; of an input that only gates read, the most that can be."""
    population = program.populations[gate.number]
    assert isinstance(population, GatePopulation)
    source = program.populations[population.source]
    return spikes.get(source.name, float(n_neurons(source) * program.input.n_steps))


def _gate(g: Gate, steps: int, events: float) -> Iterator[tuple[str, float]]:
    yield from _source(g.source, events, steps)
    yield "split", events
    yield "tap", events * g.grid.taps
    yield "gated cell", events * g.grid.taps * g.bits
    yield "cleared byte", g.seen.slot_bytes * steps
    if g.listed:
        yield "listed cell", g.size * g.bits * steps


def _input(firmware: Firmware, flows: Mapping[int, Flow]) -> Iterator[tuple[str, float]]:
    if firmware.input.kind == "frame":
        return
    readers = [p for p in firmware.program.projections if p.pre == 0 and p.pool is None]
    events = max((flows[firmware.program.projections.index(p)].events for p in readers), default=0.0)
    yield f"push to a {firmware.input.kind}", events

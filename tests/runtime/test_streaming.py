"""Steps without end: nothing grows, no event is lost, and the state is the reference's at the end."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from exporter.reference_neuron import IntegerState, step_integer
from runtime.encodings import decode
from runtime.engine import Engine
from runtime.spec import Leak
from tests.builders.programs import Builder, events, neuron

RATE = 0.06
WINDOW = 10_000
BLOCK = 1_000
STATUS = Path("/proc/self/statm")


def net():
    """64 inputs, 40 and 10 neurons, an even and a coded table."""
    build = Builder(np.random.default_rng(1), events((64,)), density=0.5)
    build.linear(0, build.neurons((40,), neuron(leak=Leak((3,)), threshold_q=(14,), reset_q=(14,))), "lists")
    build.linear(1, build.neurons((10,), neuron(leak=Leak((4,)), threshold_q=(9,), reset_q=(9,))), "rice")
    return build.program()


class Reference:
    """The same network from any state on, in the reference's arithmetic, and all that arrived."""

    def __init__(self, program):
        self.weights = [decode(table).astype(np.int64) for table in program.tables]
        self.shifts = [projection.shift for projection in program.projections]
        self.models = [population.neuron for population in program.populations[1:]]
        self.states = []

    def begin(self, engine):
        names = [population.name for population in engine.program.populations[1:]]
        membranes = [engine.membrane(name)[None].astype(np.int64) for name in names]
        self.states = [IntegerState(v, np.zeros_like(v)) for v in membranes]

    def step(self, frame):
        spikes, added = frame[None].astype(np.int64), 0
        for k, (weight, model) in enumerate(zip(self.weights, self.models, strict=True)):
            added += int((spikes @ (weight != 0)).sum())
            spikes, self.states[k] = step_integer(model, self.states[k], (spikes @ weight) << self.shifts[k])
        return spikes[0], added


def resident_bytes():
    gc.collect()
    return int(STATUS.read_text().split()[1]) * 4096 if STATUS.exists() else 0


def stream(steps):
    """Steps ``steps`` frames; holds the last WINDOW of them against the reference."""
    engine, rng = Engine(net()), np.random.default_rng(7)
    reference, arrived, checked, held = Reference(engine.program), 0, 0, 0
    for done in range(0, steps, BLOCK):
        frames = (rng.random((BLOCK, 64)) < RATE).astype(np.int32)
        arrived += int(frames.sum())
        if done == steps // 10:
            held = resident_bytes()
        if done < steps - WINDOW:
            for frame in frames:
                engine.step(frame)
            continue
        if not reference.states:
            reference.begin(engine)
        for frame in frames:
            before = engine.counts.effective_acs
            fired, added = reference.step(frame)
            assert np.array_equal(engine.step(frame), fired)
            assert engine.counts.effective_acs - before == added
            checked += int(fired.sum())
    for state, population in zip(reference.states, engine.program.populations[1:], strict=True):
        assert np.array_equal(engine.membrane(population.name), state.v[0])
    assert checked > WINDOW // 100
    counts = engine.counts
    assert counts.steps == steps
    assert counts.projections["s0"].events == arrived > steps * 64 * 0.05
    return counts, resident_bytes() - held


def test_a_stream_of_thirty_thousand_steps_ends_in_the_references_state():
    _, grown = stream(30_000)
    assert grown < 8 << 20


@pytest.mark.long
def test_ten_million_steps_grow_nothing_and_lose_nothing():
    counts, grown = stream(10_000_000)
    assert grown < 1 << 20
    assert counts.effective_acs > 1 << 29

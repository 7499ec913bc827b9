"""Running counts of an engine, in plain Python integers (no width to overflow), turned into ``Counts``."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.cost import Counts, PopulationCounts, ProjectionCounts
from runtime.prepare import Inflow, Neurons
from runtime.program import InputPopulation, Program


@dataclass
class Flow:
    """What one projection did so far."""

    kept: int = 0
    full: int = 0
    executed: int = 0
    decodes: int = 0
    events: int = 0
    frames: int = 0


@dataclass
class Firing:
    """What one population did so far."""

    updates: int = 0
    spikes: int = 0
    compares: int = 0
    ties: int = 0
    clamps: int = 0


@dataclass
class Tally:
    """Counts since the last ``clear``, by projection and population number."""

    samples: int = 0
    steps: int = 0
    flows: dict[int, Flow] = field(default_factory=dict)
    firings: dict[int, Firing] = field(default_factory=dict)

    def flow(self, number: int) -> Flow:
        return self.flows.setdefault(number, Flow())

    def firing(self, number: int) -> Firing:
        return self.firings.setdefault(number, Firing())


def counts(tally: Tally, program: Program, neurons: dict[int, Neurons]) -> Counts:
    """The tally by name, in the program's order."""
    inflows = {inflow.number: inflow for group in neurons.values() for inflow in group.inflows}
    return Counts(
        tally.samples,
        tally.steps,
        {p.name: _projection(tally.flow(k), inflows[k]) for k, p in enumerate(program.projections)},
        {
            p.name: _population(tally.firing(k), neurons.get(k))
            for k, p in enumerate(program.populations)
            if not isinstance(p, InputPopulation)
        },
    )


def _projection(flow: Flow, inflow: Inflow) -> ProjectionCounts:
    touched = (
        flow.executed * inflow.add_bytes
        + flow.decodes * inflow.decode_bytes
        + flow.events * inflow.event_bytes
    )
    return ProjectionCounts(
        effective_acs=0 if inflow.direct else flow.kept,
        input_adds=flow.kept if inflow.direct else 0,
        executed_adds=flow.executed,
        dense_synops=flow.frames * inflow.dense,
        fanout_synops=flow.full,
        events=flow.events,
        index_decodes=flow.decodes,
        weight_bytes=touched,
    )


def _population(firing: Firing, group: Neurons | None) -> PopulationCounts:
    resets = group is not None and group.resets
    return PopulationCounts(
        updates=firing.updates,
        spikes=firing.spikes,
        compares=firing.compares,
        resets=firing.spikes if resets else 0,
        ties=firing.ties,
        clamps=firing.clamps,
        state_bytes=firing.updates * group.state_bytes if group else 0,
    )

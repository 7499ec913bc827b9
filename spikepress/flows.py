"""What the projections of a network do in an inference: on average as an engine counted it, and at most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporter.plan import payload_bits
from runtime.cost import Counts
from runtime.geometry import fan_out, pooled_place
from runtime.program import Program, Projection, n_neurons


@dataclass(frozen=True)
class Flow:
    """Of one projection in an inference: events, rows read for them where every bit of a payload reads its
    row anew, and additions. ``fullness``: weights of a row that was read over those of a mean row; inputs
    that often fire are those that pruning leaves the most."""

    events: float
    reads: float
    adds: float
    fullness: float = 1.0

    def in_digits(self, share: float) -> Flow:
        """Where payloads are added by signed digits: ``share`` of them for each one in binary."""
        return replace(self, reads=self.reads * share, adds=self.adds * share)


def measured_flow(program: Program, projection: Projection, counts: Counts) -> Flow:
    """The mean of the samples that were counted. Reads are exact where every neuron reaches as many targets,
    else near the border of a map a mean."""
    found = counts.projections[projection.name]
    surviving, possible = _targets(program, projection)
    mean = float(possible.mean()) if possible.size else 0.0
    reads = found.fanout_synops / mean if mean else 0.0
    adds = found.effective_acs + found.input_adds
    uniform = reads * float(surviving.mean()) if surviving.size else 0.0
    return Flow(
        found.events / counts.samples,
        reads / counts.samples,
        adds / counts.samples,
        adds / uniform if uniform else 1.0,
    )


def most_flow(program: Program, projection: Projection) -> Flow:
    """When every neuron fires in every step with every bit of its payload, and every bit of the input is
    set; a constant input is added once."""
    pre = program.populations[projection.pre]
    once = projection.pre == 0 and program.input.constant and projection.delay == 0
    frames = 1 if once else program.input.n_steps
    surviving, _ = _targets(program, projection)
    bits, events = payload_bits(program, pre), n_neurons(pre) * frames
    return Flow(events, events * bits, int(surviving.sum()) * bits * frames)


def worst_synops(program: Program) -> int:
    """The most additions that an inference can take, whatever its input."""
    return int(sum(most_flow(program, projection).adds for projection in program.projections))


def _targets(program: Program, projection: Projection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(surviving, possible) targets by presynaptic neuron; each spike of a summed window is an event."""
    pre, table = program.populations[projection.pre], program.tables[projection.table]
    if projection.pool is None:
        return fan_out(projection.synapses, table, n_neurons(pre))
    place = pooled_place(pre.shape, projection.pool)
    inside = place[place >= 0]
    surviving, possible = fan_out(projection.synapses, table, int(place.max()) + 1)
    return surviving[inside], possible[inside]

"""Which programs run all steps of a layer at once: one-bit events, no way back but a layer's own."""

from __future__ import annotations

from runtime.fused.support import unsupported as not_fused
from runtime.lanes.layout import Grid
from runtime.program import ConvSynapses, LinearSynapses, NeuronPopulation, Program, Projection
from runtime.spec import Fire, InputSpec

MOST_STEPS = 255
MOST_ROWS = 1 << 16
MOST_BYTES = 1 << 27
"""Of the masks and sums of all steps."""


def unsupported(program: Program) -> str | None:
    """Why a program does not run by lanes, in a few words; None where it does."""
    reason = not_fused(program) or _input(program.input) or _output(program)
    for projection in program.projections:
        if reason is not None:
            break
        found = _projection(program, projection)
        reason = None if found is None else f"{projection.name}: {found}"
    return reason


def _input(spec: InputSpec) -> str | None:
    if spec.bits != 1 or spec.signed:
        return "inputs of more than one bit"
    if spec.constant:
        return "a constant input"
    return None if 1 <= spec.n_steps <= MOST_STEPS else f"more than {MOST_STEPS} steps"


def _output(program: Program) -> str | None:
    output = Grid.of(program.populations[program.output], 1)
    if output.tall or output.places != output.padded:
        return f"{program.populations[program.output].name}: an output of maps"
    grids = [Grid.of(population, program.input.n_steps) for population in program.populations]
    size = sum(2 * grid.maps * grid.pitch + grid.steps * grid.neurons for grid in grids)
    return None if size <= MOST_BYTES else "more steps than memory is taken for"


def _projection(program: Program, projection: Projection) -> str | None:
    if projection.pool is not None:
        return "a sum pool"
    if projection.delay:
        return _delayed(program, projection)
    if projection.pre >= projection.post:
        return "a way back"
    return _ahead(program, projection)


def _ahead(program: Program, projection: Projection) -> str | None:
    synapses = projection.synapses
    before = Grid.of(program.populations[projection.pre], program.input.n_steps)
    rows = before.maps * before.padded
    if isinstance(synapses, ConvSynapses):
        rows = before.maps * synapses.kernel[0] * synapses.kernel[1]
        if synapses.stride != (1, 1) or synapses.in_shape[1:] != synapses.out_shape[1:]:
            return "a convolution that changes the size of maps"
    return "too many inputs" if rows > MOST_ROWS else None


def _delayed(program: Program, projection: Projection) -> str | None:
    """A delay is for a layer that hears itself and somebody else."""
    post = program.populations[projection.post]
    if projection.pre != projection.post or not isinstance(projection.synapses, LinearSynapses):
        return "a delay"
    assert isinstance(post, NeuronPopulation)
    into = [p for p in program.projections if p.post == projection.post]
    if Grid.of(post, 1).tall or post.neuron.fire is Fire.SILENT:
        return "maps that hear themselves"
    if all(p.delay for p in into):
        return "a layer that hears only itself"
    return None if sum(p.delay > 0 for p in into) == 1 else "two ways back"

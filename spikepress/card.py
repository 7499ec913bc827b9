"""What a ``.spk`` file says about itself."""

from __future__ import annotations

from pathlib import Path

from runtime import container
from runtime.cost import footprint
from runtime.encodings import nonzeros as count_nonzeros
from runtime.program import NeuronPopulation, Program, n_neurons
from spikepress.formats import formats
from spikepress.rundir import run_directory_of

DENSE_WEIGHTS = "dense_weights"
"""Key of a program's meta: weights of the network before pruning."""


def program_path(model: str | Path) -> Path:
    """The ``.spk`` file that ``model`` names: itself, or the one in a run directory."""
    path = Path(model)
    if path.is_file():
        return path
    run = run_directory_of(path)
    return run.require(run.program, "spikepress export")


def info(model: str | Path) -> dict[str, object]:
    """The artefact's card: input, populations, projections, formats against their bounds, origin.

    Raises DataError where there is no file, FormatError where it is damaged.
    """
    path = program_path(model)
    program = container.read(path)
    stored = {line.layer: line for line in footprint(program)}
    return {
        "file": str(path),
        "file_bytes": path.stat().st_size,
        "stored_bytes": sum(line.total for line in stored.values()),
        "input": f"{program.input.shape} {program.input.coding.value}, {program.input.bits} bit",
        "steps": program.input.n_steps,
        "step_us": program.input.step_us,
        "readout": program.readout.value,
        "classes": ", ".join(program.classes) or "-",
        "neurons": sum(n_neurons(p) for p in program.populations[1:]),
        "synapses": sum(nonzeros(program)),
        "weight_sparsity": round(weight_sparsity(program), 6),
        "populations": [_population(program, index) for index in range(len(program.populations))],
        "projections": [_projection(program, index) for index in range(len(program.projections))],
        "formats": [one.as_json() for one in formats(program)],
        "meta": dict(program.meta),
    }


def nonzeros(program: Program) -> list[int]:
    """Surviving weights of each table."""
    return [count_nonzeros(table) for table in program.tables]


def encodings_of(program: Program) -> dict[str, str]:
    """How each projection's table is stored, with the width of its weights."""
    found = {}
    for projection in program.projections:
        table = program.tables[projection.table]
        found[projection.name] = f"{table.encoding}, {table.bits} bit"
    return found


def weight_sparsity(program: Program) -> float:
    """Share of the weights that are gone, over all tables but identity skips: of the network as it was
    trained where the file says how many it had, else of what the file holds."""
    tables = [table for table in program.tables if table.encoding != "diagonal"]
    held = sum(table.rows * table.columns for table in tables)
    told = program.meta.get(DENSE_WEIGHTS, "")
    total = max(held, int(told)) if told.isdecimal() else held
    kept = sum(count_nonzeros(table) for table in tables)
    return 1.0 - kept / total if total else 0.0


def _population(program: Program, index: int) -> dict[str, object]:
    population = program.populations[index]
    card: dict[str, object] = {
        "name": population.name,
        "kind": type(population).__name__.removesuffix("Population").lower(),
        "shape": "x".join(map(str, population.shape)),
        "neuron": "-",
        "state": "-",
    }
    if isinstance(population, NeuronPopulation):
        neuron = population.neuron
        leak = " ".join(f"v>>{k}" for k in neuron.leak.shifts) or "no leak"
        card["neuron"] = f"{neuron.fire.value}, {neuron.reset.value} reset, {leak}"
        card["state"] = f"int{neuron.width.value}, {neuron.frac_bits} fractional"
    return card


def _projection(program: Program, index: int) -> dict[str, object]:
    projection = program.projections[index]
    table = program.tables[projection.table]
    kept, area = count_nonzeros(table), table.rows * table.columns
    stored = sum(array.nbytes for array in table.arrays.values())
    return {
        "name": projection.name,
        "from": program.populations[projection.pre].name,
        "to": program.populations[projection.post].name,
        "kind": type(projection.synapses).__name__.removesuffix("Synapses").lower(),
        "encoding": table.encoding,
        "bits": table.bits,
        "weights": kept,
        "density": round(kept / area, 4) if area else 0.0,
        "bytes": stored,
    }

"""Puts a report together from what was measured, and writes its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter.plan import Memory, PlanOptions, plan, schedules
from runtime.cost import PopulationCounts, footprint
from spikepress import figures, memory_figures
from spikepress.card import weight_sparsity
from spikepress.catalog import Verdict, device, judge_all
from spikepress.catalog import devices as all_devices
from spikepress.figures import StageFigures
from spikepress.formats import format_tables, formats
from spikepress.labels import labels_of
from spikepress.measuring import DRIFT_SAMPLES, Measured, measure
from spikepress.needs import CODE_BYTES, STACK_BYTES, ram_lines
from spikepress.neurobench import write_neurobench
from spikepress.page import Card, Report, Table, rows_of, write_page
from spikepress.plots import Plot, named
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory, read_json, read_log


def report(  # noqa: PLR0913 - each is an option of the command
    model: str | Path,
    *,
    devices: Sequence[str] | None = None,
    device_file: str | Path | None = None,
    output: str | Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int | None = None,
    neurobench: bool = False,
    notify: Notify = silent,
) -> Report:
    """Measures ``model`` on test samples and writes its page, by default ``report.html`` beside it; with
    ``neurobench`` also ``neurobench.json``, next to the page.

    ``devices`` limits the verdicts to these names; ``device_file`` adds a user's own. Raises SpikepressError
    for what is missing or damaged.
    """
    chosen = None if devices is None else [device(name, device_file) for name in devices]
    measured = measure(model, data=data, data_dir=data_dir, samples=samples, notify=notify)
    needs = measured.needs
    verdicts = judge_all(needs, all_devices(device_file) if chosen is None else chosen)
    made = compose(measured, verdicts)
    page = measured.run.page if output is None else Path(output)
    if neurobench:
        write_neurobench(measured, page.with_name("neurobench.json"))
    write_page(made, page)
    return made


def compose(measured: Measured, verdicts: tuple[Verdict, ...]) -> Report:
    """The report of what was measured."""
    program = measured.program
    layers = " → ".join("×".join(map(str, p.shape)) for p in program.populations)
    coding = program.input.coding.value
    return Report(
        title=f"{program.meta.get('dataset', measured.run.path.name)}: a spiking network in whole numbers",
        subtitle=f"{layers}; {program.input.n_steps} steps; {coding} input;"
        f" measured on {measured.samples:,} test samples",
        cards=_cards(measured, verdicts),
        plots=_plots(measured),
        verdicts=verdicts,
        tables=_tables(measured),
        numbers=_numbers(measured),
    )


def _cards(measured: Measured, verdicts: Sequence[Verdict]) -> tuple[Card, ...]:
    memory, dense = measured.memory, measured.counts.dense_synops / measured.samples
    return (
        Card("Accuracy", f"{measured.accuracy:.2%}", f"{measured.samples:,} test samples, integer runtime"),
        Card("Weight sparsity", f"{weight_sparsity(measured.program):.1%}", "of all weights are gone"),
        Card("Flash", f"{memory.flash_bytes:,} B", f"stored; code adds about {CODE_BYTES:,} B"),
        Card("RAM", f"{memory.ram_bytes:,} B", f"worst case; stack adds about {STACK_BYTES} B"),
        Card("Additions", f"{measured.adds:,.0f}", f"per inference, no multiplication; dense: {dense:,.0f}"),
        Card("Devices", f"{sum(v.fits for v in verdicts)} of {len(verdicts)}", "fit the network"),
    )


def _plots(measured: Measured) -> tuple[Plot, ...]:
    curve, stages = _stages(measured)
    names = labels_of(measured.program)
    plots = [
        figures.accuracy_against_sparsity(curve, stages) if stages or curve else None,
        figures.flash_by_layer(footprint(measured.program), CODE_BYTES),
        figures.ram_by_layer(ram_lines(measured.memory)),
        memory_figures.memory_map(measured.memory, Memory.FLASH),
        memory_figures.memory_map(measured.memory, Memory.RAM),
        memory_figures.ram_plan(measured.memory, names),
        memory_figures.size_against_bounds(measured.program),
        *_fronts(measured.run),
        figures.synops_by_layer(measured.counts),
        figures.raster(measured.first, 0),
        figures.accuracy_per_step(measured.steps),
        figures.synops_per_step(measured.steps),
        figures.rates_by_layer(measured.rates),
        figures.drift_by_layer(_drift_shares(measured)) if measured.drift else None,
        figures.energy_by_basis({line.name: line.nanojoule for line in measured.energy}),
    ]
    return tuple(named(plot, names) for plot in plots if plot is not None)


def _fronts(run: RunDirectory) -> tuple[Plot, ...]:
    """What a search for a model that fits found: in this folder, else in the newest it left below."""
    found = [run.fit] if run.fit.exists() else sorted(run.fits.glob("*/fit.json"), key=_written)
    return memory_figures.fit_fronts(read_json(found[-1])) if found else ()


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _drift_shares(measured: Measured) -> dict[str, float]:
    assert measured.drift is not None
    return {layer.layer: layer.differing / layer.neuron_steps for layer in measured.drift.layers}


def _stages(measured: Measured) -> tuple[list[StageFigures], list[StageFigures]]:
    """The pruning run's epochs (validation) and the finished stages (test), where the run has them."""
    run = measured.run
    curve = [
        StageFigures(
            "pruned", float(str(record["weight_sparsity"])), float(str(record["validation_accuracy"]))
        )
        for record in read_log(run.log)
        if record.get("stage") == "pruned" and "validation_accuracy" in record
    ]
    stages = [
        StageFigures(name, outcome["weight_sparsity"], outcome["accuracy"])
        for name, outcome in _outcomes(run).items()
    ]
    if stages:
        sparsity = weight_sparsity(measured.program)
        stages.append(StageFigures("integer runtime", sparsity, measured.accuracy))
    return curve, stages


def _outcomes(run: RunDirectory) -> dict[str, Any]:
    return dict(read_json(run.stages)) if run.stages.exists() else {}


def _schedules(measured: Measured) -> Table:
    """RAM under every schedule, and with queues cut to what was seen."""
    program, names = measured.program, labels_of(measured.program)
    shortened = PlanOptions(event_bounds=measured.busiest)
    rows = [
        (words, memory.ram_bytes, memory.unshared_bytes, names[memory.peak])
        for words, options in [
            *((options.sentence, options) for options in schedules(program)),
            (f"{shortened.sentence} of at most the events seen", shortened),
        ]
        for memory in [plan(program, options)]
    ]
    return Table(
        "RAM in bytes under every schedule, without stack",
        ("schedule", "RAM", "without sharing", "peak at"),
        rows_of(rows),
        "Queues hold every neuron of a population, so nothing is ever lost. Only those of the last row could"
        f" overflow: they hold the most events of any step of {min(DRIFT_SAMPLES, measured.samples)} samples;"
        " later events of a step would be dropped and counted.",
    )


def _tables(measured: Measured) -> tuple[Table, ...]:
    energy = Table(
        "Energy of one inference, three estimates",
        ("line", "nJ", "basis"),
        tuple((line.name, f"{line.nanojoule:,.1f}", line.basis) for line in measured.energy),
        "The lines are not parts of one another: each is a different question.",
    )
    memory = _schedules(measured)
    names = labels_of(measured.program)
    stored = format_tables(formats(measured.program), names)
    counts = [
        (names[name], part.updates, part.spikes, _rate(part), part.ties, part.clamps)
        for name, part in measured.counts.populations.items()
    ]
    activity = Table(
        f"Activity over {measured.samples:,} samples",
        ("layer", "neuron updates", "spikes", "rate", "ties", "clamps"),
        rows_of(counts),
        "A tie is a spike fired exactly at the threshold; a clamp is a membrane kept inside its width.",
    )
    if measured.drift is None:
        return memory, *stored, energy, activity
    drift = measured.drift
    rows = [
        (names[x.layer], x.float_spikes, x.integer_spikes, x.differing, f"{x.differing / x.neuron_steps:.3%}")
        for x in drift.layers
    ]
    drifted = Table(
        f"Quantization drift over {drift.samples} samples",
        ("layer", "spikes, real-valued", "spikes, integer", "differing neuron-steps", "share"),
        rows_of(rows),
        f"Predictions that differ: {drift.differing_predictions} of {drift.samples}.",
    )
    return memory, *stored, energy, activity, drifted


def _rate(part: PopulationCounts) -> str:
    """A gate has no neurons to update, so no rate."""
    return f"{part.spikes / part.updates:.2%}" if part.updates else "-"


def _numbers(measured: Measured) -> dict[str, object]:
    counts, samples = measured.counts, measured.samples
    names = ("effective_acs", "input_adds", "executed_adds", "dense_synops", "fanout_synops", "spikes")
    return {
        "samples": samples,
        "accuracy": measured.accuracy,
        "weight_sparsity": weight_sparsity(measured.program),
        "flash_bytes": measured.memory.flash_bytes,
        "ram_bytes": measured.memory.ram_bytes,
        "code_bytes_estimated": CODE_BYTES,
        "stack_bytes_estimated": STACK_BYTES,
        **{f"{name}_per_sample": getattr(counts, name) / samples for name in names},
        "energy_nanojoule_estimated": {line.name: line.nanojoule for line in measured.energy},
        "formats": [one.as_json() for one in formats(measured.program)],
        "stages": _outcomes(measured.run),
    }

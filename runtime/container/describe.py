"""From a program to its manifest and its sections."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import ENCODINGS
from runtime.parameters import PARAMETERS, parameter_arrays
from runtime.program import (
    ConvSynapses,
    EncodedMatrix,
    GatePopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Synapses,
    Window,
)
from runtime.spec import InputSpec, IntegerNeuron

Described = dict[str, object]
Stored = NDArray[np.generic]


def describe(program: Program) -> Described:
    """The manifest as JSON values."""
    return {
        "input": _input(program.input),
        "populations": [_population(population) for population in program.populations],
        "projections": [_projection(projection) for projection in program.projections],
        "tables": [_table(table) for table in program.tables],
        "output": int(program.output),
        "readout": program.readout.value,
        "classes": list(program.classes),
        "meta": dict(program.meta),
    }


def sections(program: Program) -> list[Stored]:
    """Every stored array in file order."""
    found = [table.arrays[name] for table in program.tables for name in ENCODINGS[table.encoding].kinds]
    for population in program.populations:
        if isinstance(population, NeuronPopulation):
            arrays = parameter_arrays(population.neuron)
            found += [arrays[name] for name in PARAMETERS]
    return found


def _input(spec: InputSpec) -> Described:
    shifted: Described = {"sample_shift": int(spec.sample_shift)} if spec.sample_shift else {}
    return shifted | {
        "shape": _numbers(spec.shape),
        "coding": spec.coding.value,
        "n_steps": int(spec.n_steps),
        "bits": int(spec.bits),
        "scale": float(spec.scale),
        "signed": bool(spec.signed),
        "constant": bool(spec.constant),
        "sample_bits": int(spec.sample_bits),
        "delta": int(spec.delta),
        "seed": int(spec.seed),
        "step_us": int(spec.step_us),
    }


def _population(population: Population) -> Described:
    common: Described = {"name": population.name, "shape": _numbers(population.shape)}
    if isinstance(population, NeuronPopulation):
        currents = population.current_shape
        return common | {
            "kind": "neurons",
            "neuron": _neuron(population.neuron),
            "pool": _window(population.pool),
            "current_shape": None if currents is None else _numbers(currents),
        }
    if isinstance(population, GatePopulation):
        window = _window(population.window)
        return common | {"kind": "gate", "source": int(population.source), "window": window}
    return common | {"kind": "input"}


def _neuron(neuron: IntegerNeuron) -> Described:
    synaptic = neuron.synaptic_leak
    return {
        "leak": _numbers(neuron.leak.shifts),
        "synaptic_leak": None if synaptic is None else _numbers(synaptic.shifts),
        "synaptic_order": neuron.synaptic_order.value,
        "fire": neuron.fire.value,
        "payload_bits": int(neuron.payload_bits),
        "reset": neuron.reset.value,
        "width": int(neuron.width),
        "v_min": int(neuron.v_min),
        "v_max": int(neuron.v_max),
        "frac_bits": int(neuron.frac_bits),
        "parameters": {name: _section(array) for name, array in parameter_arrays(neuron).items()},
    }


def _projection(projection: Projection) -> Described:
    return {
        "name": projection.name,
        "pre": int(projection.pre),
        "post": int(projection.post),
        "synapses": _synapses(projection.synapses),
        "table": int(projection.table),
        "shift": int(projection.shift),
        "delay": int(projection.delay),
        "pool": _window(projection.pool),
    }


def _synapses(synapses: Synapses) -> Described:
    if isinstance(synapses, LinearSynapses):
        return {"kind": "linear"}
    if isinstance(synapses, ConvSynapses):
        fields = ("in_shape", "out_shape", "kernel", "stride", "padding", "dilation")
        shapes: Described = {name: _numbers(getattr(synapses, name)) for name in fields}
        return shapes | {"kind": "conv", "groups": int(synapses.groups)}
    return {"kind": "diagonal"}


def _table(table: EncodedMatrix) -> Described:
    return {
        "encoding": table.encoding,
        "rows": int(table.rows),
        "columns": int(table.columns),
        "bits": int(table.bits),
        "arrays": {name: _section(array) for name, array in table.arrays.items()},
    }


def _section(array: Stored) -> list[object]:
    return [f"{array.dtype.kind}{array.dtype.itemsize}", int(array.size)]


def _window(window: Window | None) -> Described | None:
    if window is None:
        return None
    parts = {"kernel": window.kernel, "stride": window.stride, "padding": window.padding}
    return {name: _numbers(values) for name, values in parts.items()}


def _numbers(values: Iterable[int]) -> list[int]:
    return [int(value) for value in values]

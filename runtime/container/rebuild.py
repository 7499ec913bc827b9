"""From a manifest's fields and a file's sections to a program; every length is checked before it is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.container.fields import Fields
from runtime.container.layout import MAX_CLASSES, MAX_META, MAX_NAME, MAX_PARTS, MAX_TEXT, TYPES
from runtime.encodings import ENCODINGS
from runtime.encodings.own import known
from runtime.errors import FormatError
from runtime.parameters import PARAMETERS
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Synapses,
    Window,
)
from runtime.spec import (
    Coding,
    Fire,
    InputSpec,
    IntegerNeuron,
    Leak,
    Readout,
    Reset,
    StateWidth,
    SynapticOrder,
)

MAX_AXES = 4


class Sections:
    """Hands out the sections of a file in order; never reaches beyond it."""

    def __init__(self, data: memoryview, start: int) -> None:
        self._data = data
        self._at = start

    def next(self, place: str, described: list[object]) -> NDArray[np.generic]:
        """The next array, in memory of its own."""
        if len(described) != 2 or not isinstance(described[0], str) or described[0] not in TYPES:
            known = ", ".join(TYPES)
            raise FormatError(f"{place}: found no known section type, expected [one of {known}, items]")
        items, dtype = described[1], np.dtype(TYPES[described[0]])
        room = (len(self._data) - self._at) // dtype.itemsize
        if isinstance(items, bool) or not isinstance(items, int) or not 0 <= items <= room:
            raise FormatError(
                f"{place}: found {str(items)[:32]} items at offset {self._at}, "
                f"expected a number up to {room}, which fill the file"
            )
        array = np.frombuffer(self._data, dtype, items, self._at).astype(dtype.newbyteorder("="))
        self._at += items * dtype.itemsize
        return array

    def done(self) -> None:
        if self._at != len(self._data):
            raise FormatError(
                f"sections: found {len(self._data) - self._at} bytes behind the last, expected none"
            )


def rebuild(manifest: Fields, sections: Sections) -> Program:
    """The program of a version 1 file, not yet checked."""
    spec = _input(manifest.inner("input"))
    tables = tuple(_table(fields, sections) for fields in manifest.objects("tables", MAX_PARTS))
    populations = manifest.objects("populations", MAX_PARTS)
    program = Program(
        input=spec,
        populations=tuple(_population(fields, sections) for fields in populations),
        projections=tuple(_projection(fields) for fields in manifest.objects("projections", MAX_PARTS)),
        tables=tables,
        output=manifest.integer("output"),
        readout=manifest.choice("readout", Readout),
        classes=manifest.texts("classes", MAX_CLASSES, MAX_NAME),
        meta=manifest.mapping("meta", MAX_META, MAX_TEXT),
    )
    manifest.done()
    sections.done()
    return program


def _input(fields: Fields) -> InputSpec:
    spec = InputSpec(
        shape=fields.integers("shape", MAX_AXES),
        coding=fields.choice("coding", Coding),
        n_steps=fields.integer("n_steps"),
        bits=fields.integer("bits"),
        scale=fields.number("scale"),
        signed=fields.flag("signed"),
        constant=fields.flag("constant"),
        sample_bits=fields.integer("sample_bits"),
        sample_shift=fields.positive_or_absent("sample_shift"),
        delta=fields.integer("delta"),
        seed=fields.integer("seed"),
        step_us=fields.integer("step_us"),
    )
    fields.done()
    return spec


def _table(fields: Fields, sections: Sections) -> EncodedMatrix:
    name = fields.text("encoding", MAX_NAME)
    if not known(name):
        all_names = ", ".join(ENCODINGS)
        raise FormatError(f"{fields.place}.encoding: found {name!r}, expected one of {all_names}")
    described = fields.inner("arrays")
    arrays = {part: _section(described, part, sections) for part in ENCODINGS[name].kinds}
    described.done()
    table = EncodedMatrix(
        name, fields.integer("rows"), fields.integer("columns"), fields.integer("bits"), arrays
    )
    fields.done()
    return table


def _section(described: Fields, name: str, sections: Sections) -> NDArray[np.generic]:
    return sections.next(f"{described.place}.{name}", described.sequence(name, 2))


def _population(fields: Fields, sections: Sections) -> Population:
    kind, name = fields.text("kind", MAX_NAME), fields.text("name", MAX_NAME)
    shape = fields.integers("shape", MAX_AXES)
    population: Population
    match kind:
        case "input":
            population = InputPopulation(name, shape)
        case "gate":
            window = _window(fields.inner("window"))
            population = GatePopulation(name, shape, fields.integer("source"), window)
        case "neurons":
            neuron = _neuron(fields.inner("neuron"), sections)
            pool = fields.optional("pool", _window)
            currents = fields.optional_integers("current_shape", MAX_AXES)
            population = NeuronPopulation(name, shape, neuron, pool, currents)
        case _:
            raise FormatError(f"{fields.place}.kind: found {kind!r}, expected input, gate or neurons")
    fields.done()
    return population


def _neuron(fields: Fields, sections: Sections) -> IntegerNeuron:
    described = fields.inner("parameters")
    values = {name: _parameter(described, name, sections) for name in PARAMETERS}
    described.done()
    leak = _leak(fields.integers("leak", 2), fields.place)
    synaptic = fields.optional_integers("synaptic_leak", 2)
    neuron = IntegerNeuron(
        leak=leak,
        fire=fields.choice("fire", Fire),
        reset=fields.choice("reset", Reset),
        width=fields.choice("width", StateWidth),
        v_min=fields.integer("v_min"),
        v_max=fields.integer("v_max"),
        frac_bits=fields.integer("frac_bits"),
        payload_bits=fields.integer("payload_bits"),
        synaptic_leak=None if synaptic is None else _leak(synaptic, fields.place),
        synaptic_order=fields.choice("synaptic_order", SynapticOrder),
        **values,
    )
    fields.done()
    return neuron


def _parameter(described: Fields, name: str, sections: Sections) -> tuple[int, ...]:
    array = _section(described, name, sections)
    if array.dtype.kind != "i" or array.size == 0:
        raise FormatError(
            f"{described.place}.{name}: found {array.size} items of {array.dtype}, expected signed integers"
        )
    return tuple(array.astype(np.int64).tolist())


def _leak(shifts: tuple[int, ...], place: str) -> Leak:
    try:
        return Leak(shifts)
    except ValueError as error:
        raise FormatError(f"{place}: {error}") from error


def _projection(fields: Fields) -> Projection:
    projection = Projection(
        name=fields.text("name", MAX_NAME),
        pre=fields.integer("pre"),
        post=fields.integer("post"),
        synapses=_synapses(fields.inner("synapses")),
        table=fields.integer("table"),
        shift=fields.integer("shift"),
        delay=fields.integer("delay"),
        pool=fields.optional("pool", _window),
    )
    fields.done()
    return projection


def _synapses(fields: Fields) -> Synapses:
    kind = fields.text("kind", MAX_NAME)
    synapses: Synapses
    match kind:
        case "linear":
            synapses = LinearSynapses()
        case "diagonal":
            synapses = DiagonalSynapses()
        case "conv":
            synapses = ConvSynapses(
                in_shape=_three(fields, "in_shape"),
                out_shape=_three(fields, "out_shape"),
                kernel=_two(fields, "kernel"),
                stride=_two(fields, "stride"),
                padding=_two(fields, "padding"),
                dilation=_two(fields, "dilation"),
                groups=fields.integer("groups"),
            )
        case _:
            raise FormatError(f"{fields.place}.kind: found {kind!r}, expected linear, conv or diagonal")
    fields.done()
    return synapses


def _window(fields: Fields) -> Window:
    window = Window(_two(fields, "kernel"), _two(fields, "stride"), _two(fields, "padding"))
    fields.done()
    return window


def _two(fields: Fields, name: str) -> tuple[int, int]:
    found = fields.integers(name, 2)
    if len(found) != 2:
        raise FormatError(f"{fields.place}.{name}: found {len(found)} numbers, expected two")
    return found[0], found[1]


def _three(fields: Fields, name: str) -> tuple[int, int, int]:
    found = fields.integers(name, 3)
    if len(found) != 3:
        raise FormatError(f"{fields.place}.{name}: found {len(found)} numbers, expected three")
    return found[0], found[1], found[2]

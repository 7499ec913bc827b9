"""The constant arrays of a firmware: a program's tables and neuron parameters under their C names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.targets.c_pairs import words
from runtime.parameters import PARAMETERS, parameter_arrays
from runtime.program import EncodedMatrix, NeuronPopulation, Program
from runtime.spec import Fire, Reset

C_TYPES = {
    "u1": "uint8_t",
    "u2": "uint16_t",
    "u4": "uint32_t",
    "i1": "int8_t",
    "i2": "int16_t",
    "i4": "int32_t",
}
ITEMS_A_LINE = 16
BAKED = frozenset({"taps", "coding"})
"""Stored arrays that are constants in the code instead."""


CONTENT = ("weights", "indices", "words", "records", "stream")
"""Stored arrays that grow with the nonzeros."""


@dataclass(frozen=True)
class Array:
    """One ``const`` array: ``lines`` are its items as text."""

    name: str
    c_type: str
    items: int
    bytes: int
    align: int
    what: str
    lines: tuple[str, ...]


def arrays_of(program: Program, prefix: str, paired: frozenset[int] = frozenset()) -> tuple[Array, ...]:
    """Every array the firmware holds, widest items first, so that nothing is lost to alignment. The tables
    of the projections ``paired`` are words of two weights."""
    found = [*_tables(program, prefix, paired), *_parameters(program, prefix)]
    return tuple(sorted(found, key=lambda array: -array.align))


def is_empty(table: EncodedMatrix) -> bool:
    """Whether a table holds nothing: then its projection does nothing and no array of it is written."""
    return any(table.arrays[name].size == 0 for name in CONTENT if name in table.arrays)


def _tables(program: Program, prefix: str, paired: frozenset[int]) -> Iterator[Array]:
    joined = {program.projections[number].table: program.projections[number] for number in paired}
    for number, table in enumerate(program.tables):
        users = " + ".join(p.name for p in program.projections if p.table == number)
        if is_empty(table):
            continue
        if number in joined:
            what = f"weights of {users} (pairs of 16 bits)"
            yield _array(f"{prefix}_t{number}_weights", words(program, joined[number]), what)
            continue
        for name, values in table.arrays.items():
            if name not in BAKED and values.size:
                what = f"{name} of {users} ({table.encoding}, {table.bits} bits)"
                yield _array(f"{prefix}_t{number}_{name}", _seen(table, name, values), what)


def _seen(table: EncodedMatrix, name: str, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Whole weights as signed items; narrow ones stay a stream of bytes."""
    if name == "weights" and table.bits in (8, 16):
        return values.view(f"<i{table.bits // 8}")
    return values


def _parameters(program: Program, prefix: str) -> Iterator[Array]:
    for number, population in enumerate(program.populations):
        if isinstance(population, NeuronPopulation):
            stored = parameter_arrays(population.neuron)
            for name in used_parameters(population):
                if stored[name].size > 1:
                    yield _array(f"{prefix}_p{number}_{name}", stored[name], f"{name} of {population.name}")


def used_parameters(population: NeuronPopulation) -> tuple[str, ...]:
    """The parameters that the population's step reads."""
    neuron = population.neuron
    fires, graded = neuron.fire is not Fire.SILENT, neuron.fire is Fire.GRADED
    subtracts = neuron.reset is Reset.SUBTRACT and not graded
    used = {
        "threshold_q": fires,
        "reset_q": fires and (subtracts or neuron.reset is Reset.VALUE),
        "bias_q": neuron.bias_q != (0,),
        "start_q": True,
        "payload_shift": graded,
    }
    return tuple(name for name in PARAMETERS if used[name])


def _array(name: str, values: NDArray[np.generic], what: str) -> Array:
    code = f"{values.dtype.kind}{values.dtype.itemsize}"
    texts = [_literal(int(value), code) for value in values.tolist()]
    lines = tuple(", ".join(texts[at : at + ITEMS_A_LINE]) for at in range(0, len(texts), ITEMS_A_LINE))
    return Array(name, C_TYPES[code], values.size, values.nbytes, values.dtype.itemsize, what, lines)


def _literal(value: int, code: str) -> str:
    if code == "u4":
        return f"{value}u"
    return "(-2147483647 - 1)" if value == -(1 << 31) else str(value)

"""What execution is for: run every table as stored, or trade memory for speed at load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from runtime.encodings import ENCODINGS, decode, encode, nonzeros, smallest
from runtime.program import ConvSynapses, DiagonalSynapses, EncodedMatrix, LinearSynapses, Program, Synapses

DENSE_LINEAR, DENSE_CONV, SHORT_ROW = 0.05, 0.08, 32
"""Densities above which a dense row runs faster than a list, and the row length below which it always does.
Measured on prototypes with AVX2: 8-bit rows 0.05-0.9 ns, lists 0.6-1.6 ns for each nonzero."""
MAX_EXPANDED = 1 << 26


class Objective(Enum):
    """``FLASH``: as stored, as firmware does it. ``SPEED``: one faster form of each table, built at load.
    ``BALANCED``: stored for bytes and time alike (see ``runtime.choice``), then run as stored."""

    FLASH = "flash"
    SPEED = "speed"
    BALANCED = "balanced"


@dataclass(frozen=True)
class Execution:
    """How one projection runs, in a few words, and the bytes that it runs from."""

    name: str
    bytes: int


def execution_form(program: Program, objective: Objective) -> Program:
    """``program`` with the tables it will run from; the same object where all of them run as stored."""
    if objective is not Objective.SPEED:
        return _executable(program)
    users = {projection.table: projection.synapses for projection in program.projections}
    tables = tuple(_fast(table, users.get(number)) for number, table in enumerate(program.tables))
    return replace(program, tables=tables)


def _executable(program: Program) -> Program:
    """Tables that are for storage only, as the smallest that run."""
    if all(ENCODINGS[table.encoding].executable for table in program.tables):
        return program
    return replace(program, tables=tuple(map(_expanded, program.tables)))


def _expanded(table: EncodedMatrix) -> EncodedMatrix:
    if ENCODINGS[table.encoding].executable:
        return table
    matrix = decode(table)
    return encode(matrix, smallest(matrix, table.bits), table.bits)


def _fast(table: EncodedMatrix, synapses: Synapses | None) -> EncodedMatrix:
    """The table as 8-bit dense rows or 8-bit fan-out lists, whichever this shape and density runs faster."""
    if synapses is None or isinstance(synapses, DiagonalSynapses):
        return table
    area = table.rows * table.columns
    kept = nonzeros(table)
    density = kept / area
    dense = density > (DENSE_CONV if isinstance(synapses, ConvSynapses) else DENSE_LINEAR)
    short = isinstance(synapses, LinearSynapses) and kept < SHORT_ROW * table.rows
    name = "dense" if (dense or short) and area <= MAX_EXPANDED else "lists"
    if (table.encoding, table.bits) == (name, 8) or area > MAX_EXPANDED:
        return table
    return encode(decode(table), name, 8)

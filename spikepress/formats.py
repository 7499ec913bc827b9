"""How each table of a program is stored, what it could take at least, and what else was possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from runtime.choice import Candidate, Choice, choose
from runtime.cost import table_bytes
from runtime.encodings import ENCODINGS, decode
from runtime.engine import Engine
from runtime.fused import unsupported
from runtime.objective import Objective, execution_form
from runtime.program import ConvSynapses, EncodedMatrix, Program, Projection
from spikepress.page import Table


@dataclass(frozen=True)
class Format:
    """One stored table. Bounds and bytes are of the table alone; times are of the machine that
    ``runtime/pace.py`` was fitted on."""

    layer: str
    encoding: str
    bits: int
    density: float
    bytes: int
    bits_per_nonzero: float
    bound_zero_order_bytes: float
    bound_per_row_bytes: float
    over_bound: float | None
    """Stored bytes over the smaller bound; None where the bound is nothing."""
    runner_up: str
    runner_up_bytes: int
    break_even_density: float | None
    """Density above which dense rows are the smallest; None where they never are."""
    event_ns: float | None
    """Time of one event's row; None where no row can be walked."""
    times_the_fastest: float | None
    execution: str
    """The form that runs under the objective ``speed``, and why the whole net is not one compiled call."""
    execution_bytes: int
    reason: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def formats(program: Program) -> tuple[Format, ...]:
    """Every table but the diagonals, which have one form, in the order of the file."""
    fast = _execution(program)
    users: dict[int, Projection] = {}
    for projection in program.projections:
        users.setdefault(projection.table, projection)
    return tuple(
        _format(users[number], table, fast[number])
        for number, table in enumerate(program.tables)
        if table.encoding != "diagonal"
    )


def _execution(program: Program) -> list[tuple[str, int]]:
    """What runs under the objective ``speed``, and its bytes, by table."""
    reason = unsupported(program)
    if reason is not None:
        tables = execution_form(program, Objective.SPEED).tables
        return [(f"{table.encoding}, step by step: {reason}", table_bytes(table)) for table in tables]
    forms = Engine(program, Objective.SPEED).execution
    assert forms is not None
    found = {p.table: form for p, form in zip(program.projections, forms, strict=True)}
    return [(found[number].name, found[number].bytes) for number in range(len(program.tables))]


def _format(user: Projection, table: EncodedMatrix, execution: tuple[str, int]) -> Format:
    taps = math.prod(user.synapses.kernel) if isinstance(user.synapses, ConvSynapses) else 1
    choice = choose(decode(table), table.bits, taps=taps)
    stored, kept = table_bytes(table), choice.bounds.nonzeros
    rival = next((one for one in choice.candidates if one.encoding != table.encoding), None)
    walk = _walk(choice, table.encoding)
    ratio = choice.bounds.ratio(stored)
    return Format(
        layer=user.name,
        encoding=table.encoding,
        bits=table.bits,
        density=round(choice.density, 6),
        bytes=stored,
        bits_per_nonzero=round(8 * stored / max(kept, 1), 3),
        bound_zero_order_bytes=round(choice.bounds.zero_order / 8, 1),
        bound_per_row_bytes=round(choice.bounds.per_row / 8, 1),
        over_bound=round(ratio, 4) if math.isfinite(ratio) else None,
        runner_up=rival.encoding if rival else "-",
        runner_up_bytes=rival.bytes if rival else 0,
        break_even_density=choice.break_even,
        event_ns=None if walk is None else round(walk, 1),
        times_the_fastest=None if walk is None else round(walk / _fastest(choice).event_ns, 2),
        execution=execution[0],
        execution_bytes=execution[1],
        reason=_reason(choice, table, stored),
    )


def _walk(choice: Choice, encoding: str) -> float | None:
    return next((one.event_ns for one in choice.candidates if one.encoding == encoding), None)


def _fastest(choice: Choice) -> Candidate:
    return min(choice.candidates, key=lambda one: one.event_ns)


def _reason(choice: Choice, table: EncodedMatrix, stored: int) -> str:
    """Why this form, or what would be smaller than the one the file has."""
    if table.encoding == choice.encoding:
        return choice.reason
    if not ENCODINGS[table.encoding].executable:
        return f"{table.encoding} is for storage only, {stored:,} bytes; to run, {choice.reason}"
    return f"stored as {table.encoding} with {stored:,} bytes; {choice.reason}"


def format_tables(found: tuple[Format, ...], names: Mapping[str, str] | None = None) -> tuple[Table, ...]:
    """The formats for a person: bytes against the bounds, then time and the reason."""
    shown = [replace(one, layer=(names or {}).get(one.layer, one.layer)) for one in found]
    sizes = Table(
        "Formats: stored bytes against the entropy bounds",
        ("layer", "encoding", "bits", "bytes", "per weight", "zero order", "per row", "over bound"),
        tuple(
            (
                one.layer,
                one.encoding,
                str(one.bits),
                f"{one.bytes:,}",
                f"{one.bits_per_nonzero:.2f}",
                f"{one.bound_zero_order_bytes:,.0f}",
                f"{one.bound_per_row_bytes:,.0f}",
                "-" if one.over_bound is None else f"{one.over_bound:.3f}",
            )
            for one in shown
        ),
        "Bits per surviving weight, everything stored counted; the two bounds of docs/format.md, in bytes.",
    )
    walks = Table(
        "Formats: time of a row, bytes as stored and under speed",
        ("layer", "ns an event", "times the fastest", "stored", "under speed", "runs as", ""),
        tuple(
            (
                one.layer,
                "-" if one.event_ns is None else f"{one.event_ns:,.0f}",
                "-" if one.times_the_fastest is None else f"{one.times_the_fastest:.1f}",
                f"{one.bytes:,}",
                f"{one.execution_bytes:,}",
                one.execution,
                one.reason,
            )
            for one in shown
        ),
        "Times from runtime/pace.py, measured by benchmarks.formats on one machine; firmware has its own.",
    )
    return sizes, walks

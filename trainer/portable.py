"""Layer tables in an interchange format's words: what a layer leaves open becomes what the format means."""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, object]

NEURONS = ("if", "lif", "cuba_lif")
PORTABLE: Mapping[str, Table] = {"nir": {"reset": "value", "compare": ">"}}
"""By format: what a spike of its neurons is. NIR (Pedersen et al. 2024): above the threshold, then reset to a
value."""


def said_in(format_: str, tables: tuple[Table, ...]) -> tuple[Table, ...]:
    """The tables with the words of ``format_`` wherever a neuron leaves them open; "" changes nothing."""
    return tuple(_said(PORTABLE[format_], table) for table in tables) if format_ else tables


def _said(words: Table, table: Table) -> Table:
    if table.get("kind") in NEURONS:
        return {**words, **table} if table.get("fire", "binary") == "binary" else table
    inner = {key: _inner(words, table[key]) for key in ("neuron", "body", "shortcut") if key in table}
    neuron = {"neuron": {"kind": "lif", **words}} if table.get("kind") == "recurrent" else {}
    return {**table, **neuron, **inner}


def _inner(words: Table, value: object) -> object:
    """Of a table or a list of tables; anything else is left for the reader to refuse."""
    if isinstance(value, Mapping):
        return _said(words, value)
    if isinstance(value, list | tuple):
        return [_said(words, one) if isinstance(one, Mapping) else one for one in value]
    return value

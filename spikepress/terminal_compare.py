"""Prints models side by side for a person."""

from __future__ import annotations

from collections.abc import Callable

from spikepress.changes import Changes
from spikepress.comparing import Comparison, Side
from spikepress.reference_sizes import FORMATS
from spikepress.terminal import print_table

FIGURES: dict[str, Callable[[Side], str]] = {
    "accuracy on test samples": lambda s: f"{s.accuracy:.2%}",
    "test samples": lambda s: f"{s.samples:,}",
    "flash, stored B": lambda s: f"{s.flash_bytes:,}",
    "RAM, worst case B": lambda s: f"{s.ram_bytes:,}",
    "RAM peak at": lambda s: s.peak,
    "neurons": lambda s: f"{s.neurons:,}",
    "kept weights": lambda s: f"{s.kept_weights:,}",
    "weight sparsity": lambda s: f"{s.weight_sparsity:.2%}",
    "additions of events": lambda s: f"{s.effective_acs:,.0f}",
    "additions of direct input": lambda s: f"{s.input_adds:,.0f}",
    "additions, worst case": lambda s: f"{s.worst_synops:,}",
}


def print_comparison(result: Comparison) -> None:
    """Figures, energy and sizes with a column for each model, then what changed from each to the next."""
    names = tuple(side.name for side in result.sides)
    rows = [(name, *(told(side) for side in result.sides)) for name, told in FIGURES.items()]
    rows += [
        (f"{line.name}, nJ (estimated)", *(f"{side.energy[n].nanojoule:,.1f}" for side in result.sides))
        for n, line in enumerate(result.sides[0].energy)
    ]
    print_table("Side by side", ("figure", *names), rows)
    print_table("Weights in bytes, by format", ("format", *names, ""), _sizes(result))
    layers = dict.fromkeys(name for side in result.sides for name in side.encodings)
    encodings = ((layer, *(side.encodings.get(layer, "-") for side in result.sides)) for layer in layers)
    print_table("Encodings", ("layer", *names), encodings)
    for number, found in enumerate(result.changed):
        _print_changes(found, (names[number], names[number + 1]))


def _sizes(result: Comparison) -> list[tuple[str, ...]]:
    own = ("as stored here", *(f"{side.table_bytes:,}" for side in result.sides), "every table, pointers too")
    others = [
        (form.name, *(_against(side, side.references[form.name]) for side in result.sides), form.rule)
        for form in FORMATS
    ]
    onnx = (
        "model.onnx",
        *(_against(side, side.onnx_file_bytes) for side in result.sides),
        "the file written",
    )
    return [own, *others, onnx]


def _against(side: Side, size: int | None) -> str:
    """A size, and how many times ours."""
    return "-" if size is None else f"{size:,} ({size / max(1, side.table_bytes):.2f}x)"


def _print_changes(found: Changes, names: tuple[str, str]) -> None:
    rows = [(d.what, d.before, d.after) for d in (*found.config, *found.layers)]
    title = f"What changed from {names[0]} to {names[1]}"
    print_table(title, ("what", "before", "after"), rows or [("configuration and layers", "same", "same")])
    if found.masks:
        masks = (
            (m.layer, f"{m.weights:,}", *(f"{x:,}" for x in (m.before, m.after, m.both, m.moved)))
            for m in found.masks
        )
        columns = ("layer", "weights", "kept before", "kept after", "kept in both", "of these changed")
        print_table("Masks", columns, masks)

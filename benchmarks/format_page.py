"""The formats' results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


def page(found: Row) -> str:
    """The page of one result."""
    lines = [
        "# Formats against their entropy bounds",
        "",
        "`python -m benchmarks.formats`. Bits per nonzero weight, with pointers, codebooks and padding; the",
        "bound is the smaller of the two in `docs/format.md`. *Executable* forms are read row by row, as",
        "stored, by the runtime, firmware and cores; *storage* forms are expanded when loaded.",
        "",
        "## Uniform masks, uniform 8-bit weights: the smallest of each kind",
        "",
        *_table(
            ("table", "sparsity", "kind", "encoding", "bits", "bound", "over bound"),
            [
                (r["shape"], _sparsity(r), r["kind"], r["encoding"], *_bits(r), f"{r['ratio']:.3f}")
                for r in found["best"]
            ],
        ),
        "",
        "## Every encoding",
        "",
        *_table(
            ("table", "sparsity", "encoding", "bits", "over bound", "encode ms", "decode ms"),
            [
                (
                    r["shape"],
                    _sparsity(r),
                    r["encoding"],
                    f"{r['bits_per_nonzero']:.2f}",
                    f"{r['ratio']:.3f}",
                    f"{1e3 * r['encode_s']:.1f}",
                    f"{1e3 * r['decode_s']:.1f}",
                )
                for r in found["rows"]
            ],
        ),
        "",
        "## Whole nets, every table in its smallest executable encoding",
        "",
        "Bounds are those of the net's own weights. A table of a few hundred weights cannot come close to",
        "them: they take the frequencies of values as known, which a codebook has to store.",
        "",
        "Trained nets are those of `python -m benchmarks.examples NAME --chain`, of `python -m",
        "benchmarks.compressed_run` on the dense `mnist-mlp` (784-800-10 at 97 %, 4 bit), and one of a few",
        "epochs on `benchmarks/cifar10_small.toml` (`spikepress train`, `prune`, `export`); each is named by",
        "`--trained NAME=FILE.spk`.",
        "",
        *_table(
            ("net", "table", "sparsity", "bits", "encoding", "bytes", "zero order", "per row", "over bound"),
            [row for net in found["nets"] for row in _net(net)],
        ),
        *_paces(found),
        *_vgg(found["vgg16"]),
        "",
        "Measured with " + ", ".join(f"{k} {v}" for k, v in found["versions"].items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [_line(columns), "|---" * len(columns) + "|", *map(_line, rows)]


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _sparsity(row: Row) -> str:
    return f"{1 - row['density']:.1%}"


def _bits(row: Row) -> tuple[str, str]:
    return f"{row['bits_per_nonzero']:.2f}", f"{row['bound']:.2f}"


def _net(net: Row) -> list[tuple[str, ...]]:
    rows = [
        (
            net["name"],
            f"{t['name']}, {t['rows']} x {t['columns']}",
            _sparsity(t),
            str(t["bits"]),
            t["encoding"],
            f"{t['bytes']:,}",
            f"{t['bound_zero_order']:,.0f}",
            f"{t['bound_per_row']:,.0f}",
            f"{t['ratio']:.3f}",
        )
        for t in net["tables"]
    ]
    total = (
        "",
        "together",
        "",
        "",
        "",
        f"{net['bytes']:,}",
        f"{net['bound']:,.0f}",
        "",
        f"{net['ratio']:.3f}",
    )
    return [*rows, total]


def _paces(found: Row) -> list[str]:
    if not found["paces"]:
        return []
    long = {(w["encoding"], w["bits"]): w for w in found["walks"] if w["columns"] == 1024}
    fastest = min(walk["event_ns"] for walk in long.values())
    rows = []
    for name, pace in found["paces"].items():
        walk = long[name, 8]
        cells = (f"{pace['start']:g}", f"{pace['item']:g}", _or_dash(pace["packed"]))
        rows.append((name, *cells, f"{walk['event_ns']:,.0f}", f"{walk['event_ns'] / fastest:.1f}"))
    return [
        "",
        "## How long a row takes to walk",
        "",
        "Nanoseconds of an event through the compiled kernel of each encoding: to start, then for each item",
        "(a column of a dense row, a cell of blocks, a nonzero of any other), in 8 bits and packed in 4. The",
        "last columns are an event through a row of 1,024 columns at 90 % sparsity in 8 bits, and how many",
        "times the fastest that is. All times are of the processor, medians.",
        "",
        *_table(("encoding", "start", "item", "packed item", "a row, ns", "times the fastest"), rows),
    ]


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _vgg(found: Row | None) -> list[str]:
    if found is None:
        return []
    return [
        "",
        "## A net of VGG-16's shape",
        "",
        f"{found['weights']:,} weights at {1 - found['density']:.0%} sparsity in 8 bits, a file of "
        f"{found['file_bytes']:,} bytes ({', '.join(found['encodings'])}): choosing and encoding takes "
        f"{found['encode_s']:.2f} s, loading with every check {found['load_s']:.3f} s.",
    ]

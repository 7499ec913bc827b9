"""The pruning benchmark's rows as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.pruning_plan import BARS, Bar, Preset

Row = Mapping[str, Any]
OURS = "sweeps"
GROUP = ("epochs", "sparsity", "granularity", "bits", "method")


def page(report: Mapping[str, Any], preset: Preset) -> str:
    """Means and spreads over the seeds that were measured, and what was asked for."""
    rows, about = report["rows"], report["about"]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in GROUP), []).append(row)
    lines = [
        f"# Pruning, {preset.title}",
        "",
        f"`python -m benchmarks.pruning --preset {about['preset']}`: eight steps, constant input, first",
        "layer pruned and counted, last epoch. Points are lost against the dense net of the same seed, on",
        "test samples; choices were made on validation samples. n is how many seeds were measured. Seconds",
        "are wall-clock on a machine that did much else at the same time, and rows of one seed share rounds",
        "of pruning: they say little. Sample passes do not depend on that.",
        "Sample passes count calibration, search and tuning, forward and back; rows with real weights are",
        "rounded to 8 bits for bytes and additions. What was tried on the way: [here](pruning-tried.md).",
        "",
        *_bars(groups),
        "",
        "| epochs | sparsity | granularity | bits | method | n | accuracy | points lost | nnz | bytes |"
        " additions of spikes / of input | sample passes | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(key, groups[key]) for key in sorted(groups, key=_order(groups))]
    lines += ["", *_paired(groups)]
    lines += ["", "Measured with " + ", ".join(f"{name} {value}" for name, value in about.items()) + ".", ""]
    return "\n".join(lines)


def _order(groups: Mapping[tuple[Any, ...], Sequence[Row]]) -> Callable[[tuple[Any, ...]], Any]:
    """By setting, and the best method first."""
    return lambda key: (key[:3], str(key[3]), -_mean(groups[key], "accuracy"))


def _paired(groups: Mapping[tuple[Any, ...], Sequence[Row]]) -> Iterable[str]:
    """Ours against the others of the same setting, seed by seed."""
    yield "Paired over seeds, points that `sweeps` is ahead:"
    yield ""
    yield "| epochs | sparsity | granularity | bits | of | points ahead | n | seeds ahead |"
    yield "|---|---|---|---|---|---|---|---|"
    for key in sorted(groups, key=_order(groups)):
        ours = {row["seed"]: row["accuracy"] for row in groups.get((*key[:4], OURS), ())}
        ahead = [100 * (ours[r["seed"]] - r["accuracy"]) for r in groups[key] if r["seed"] in ours]
        if key[4] != OURS and ahead:
            setting = f"{key[0]} | {100 * key[1]:g} % | {key[2]} | {key[3] or 'real'} | {key[4]}"
            yield f"| {setting} | {_spread(ahead)} | {len(ahead)} | {sum(a > 0 for a in ahead)} |"


def _bars(groups: Mapping[tuple[Any, ...], Sequence[Row]]) -> Iterable[str]:
    yield "| asked for | found | n |"
    yield "|---|---|---|"
    for bar in BARS:
        case = bar.case
        key = (case.epochs, case.sparsity, case.granularity.value, case.bits, case.method)
        yield _bar(bar, groups.get(key, ()))


def _bar(bar: Bar, rows: Sequence[Row]) -> str:
    case = bar.case
    bits = "" if case.bits is None else f", {case.bits} bit"
    setting = f"{100 * case.sparsity:g}% sparse{bits}, {case.granularity.value}, {case.epochs} epochs"
    if bar.least_accuracy is not None:
        reached = _spread([100 * row["accuracy"] for row in rows]) if rows else "not measured"
        return f"| {setting}: at least {100 * bar.least_accuracy:g} % | {reached} % | {len(rows)} |"
    asked = f"{setting}: at most {bar.points} points"
    if bar.most_bytes is not None:
        asked += f" and {bar.most_bytes:,} bytes"
    if not rows:
        return f"| {asked} | not measured | 0 |"
    found = f"{_spread([_lost(row) for row in rows])} points"
    if bar.most_bytes is not None:
        found += f", {_mean(rows, 'bytes'):,.0f} bytes"
    return f"| {asked} | {found} | {len(rows)} |"


def _line(key: tuple[Any, ...], rows: Sequence[Row]) -> str:
    epochs, sparsity, granularity, bits, method = key
    adds = f"{_mean(rows, 'effective_acs'):,.0f} / {_mean(rows, 'input_adds'):,.0f}"
    cells = [
        epochs,
        f"{100 * sparsity:g} %",
        granularity,
        bits or "real",
        method,
        len(rows),
        _spread([100 * row["accuracy"] for row in rows]),
        _spread([_lost(row) for row in rows]),
        f"{_mean(rows, 'nnz'):,.0f}",
        f"{_mean(rows, 'bytes'):,.0f}",
        adds,
        f"{_mean(rows, 'sample_passes'):,.0f}",
        f"{_mean(rows, 'seconds'):,.0f}",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _lost(row: Row) -> float:
    return 100.0 * float(row["accuracy_dense"] - row["accuracy"])


def _mean(rows: Sequence[Row], key: str) -> float:
    return statistics.mean(float(row[key]) for row in rows)


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.2f}"

"""The pruning benchmark's rows as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.pruning_plan import BARS, Bar, Preset

Row = Mapping[str, Any]
OURS = ("sweeps", "second-order")
"""The first of them that was measured at a setting is what others are held against."""
ASKED = "mnist-mlp"
"""The configuration that the bars are about."""
SEED_LOOP = "criticality"
CONTROLS = ("regenerate-random", "regenerate-gradient", "magnitude")
"""The seed's loop with another ranking of what comes back, and without any."""
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
        f"`python -m benchmarks.pruning --preset {about['preset']}`: first layer pruned and counted,",
        "last epoch. Points are lost against the dense net of the same seed, on test samples; choices were",
        "made on validation samples. n is how many seeds were measured: one seed has no spread. Seconds",
        "are wall-clock on a machine that did much else at the same time, and rows of one seed share rounds",
        "of pruning: they say little. Sample passes do not depend on that.",
        "Sample passes count calibration, search and tuning, forward and back; rows with real weights are",
        "rounded to 8 bits for bytes and additions. What was tried on the way: [here](pruning-tried.md).",
        "",
        *_dense(rows),
        *preset.remarks,
        "",
        *_bars(groups, preset),
        "| epochs | sparsity | granularity | bits | method | n | accuracy | points lost | nnz | bytes |"
        " additions of spikes / of input | sample passes | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(key, groups[key]) for key in sorted(groups, key=_order(groups))]
    lines += ["", *_paired(groups, OURS, ()), *_paired(groups, (SEED_LOOP,), CONTROLS)]
    lines += ["Measured with " + ", ".join(f"{name} {value}" for name, value in about.items()) + ".", ""]
    return "\n".join(lines)


def _order(groups: Mapping[tuple[Any, ...], Sequence[Row]]) -> Callable[[tuple[Any, ...]], Any]:
    """By setting, and the best method first."""
    return lambda key: (key[:3], str(key[3]), -_mean(groups[key], "accuracy"))


def _dense(rows: Sequence[Row]) -> Iterable[str]:
    """The dense nets' accuracy, a net a seed."""
    nets = {row["seed"]: 100.0 * float(row["accuracy_dense"]) for row in rows}
    yield f"Dense nets: {_spread(list(nets.values()))} % on test samples, n = {len(nets)}."


def _paired(
    groups: Mapping[tuple[Any, ...], Sequence[Row]], ours: Sequence[str], others: Sequence[str]
) -> Iterable[str]:
    """The first of ``ours`` at each setting against ``others`` (none: all) there, seed by seed."""
    lines = []
    for key in sorted(groups, key=_order(groups)):
        name = next((name for name in ours if (*key[:4], name) in groups), None)
        if name is None or key[4] == name or (others and key[4] not in others):
            continue
        own = {row["seed"]: row["accuracy"] for row in groups[*key[:4], name]}
        ahead = [100 * (own[row["seed"]] - row["accuracy"]) for row in groups[key] if row["seed"] in own]
        if ahead:
            setting = f"{key[0]} | {100 * key[1]:g} % | {key[2]} | {key[3] or 'real'} | {name} | {key[4]}"
            lines.append(f"| {setting} | {_spread(ahead)} | {len(ahead)} | {sum(a > 0 for a in ahead)} |")
    if lines:
        yield f"Points that {' or '.join(f'`{name}`' for name in ours)} is ahead, paired over seeds:"
        yield ""
        yield "| epochs | sparsity | granularity | bits | method | of | points ahead | n | seeds ahead |"
        yield "|---|---|---|---|---|---|---|---|---|"
        yield from lines
        yield ""


def _bars(groups: Mapping[tuple[Any, ...], Sequence[Row]], preset: Preset) -> Iterable[str]:
    """What was asked of the preset's cases; nothing where nothing was."""
    if preset.config != ASKED:
        return
    yield "| asked for | found | n |"
    yield "|---|---|---|"
    for bar in BARS:
        case = bar.case
        key = (case.epochs, case.sparsity, case.granularity.value, case.bits, case.method)
        yield _bar(bar, groups.get(key, ()))
    yield ""


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

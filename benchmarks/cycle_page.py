"""The fitted cycles as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def page(report: Mapping[str, Any]) -> str:
    """How well the costs tell other networks and the trained ones, and a table of all of them."""
    cores = report["cores"]
    lines = [
        "# Clock cycles of generated C, by piece of work",
        "",
        f"`python -m benchmarks.cycles --write`, {report['compiler']}. Executed instructions on an emulated",
        "core, each by its maker's table (`spikepress/tools/cycles.py`), memory without wait states, shared",
        "out over the pieces that `spikepress/work.py` counts: non-negative least squares of the relative",
        "error. Nothing ran on hardware. Cortex-M0 and M0+ have one number for each instruction; on M3 and",
        "M4 the low and the high bound differ, and what stands here is the high one. The AVR is simulated",
        "cycle by cycle.",
        "",
        "## How far off",
        "",
        "Predicted over executed cycles, less one, on random networks of another seed, which nothing was",
        "fitted to. `fit --latency` divides its high bound by one less the largest shortfall that any",
        "network with the same tables had (last table): none of these would have been called too fast.",
        "",
        "| core | samples fitted | checked | mean error | least | 5 % | median | 95 % | most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in cores.items():
        spread = " | ".join(f"{100 * e:+.1f} %" for e in found["errors"])
        lines.append(
            f"| {name} | {found['samples_fitted']} | {found['samples_checked']} |"
            f" {100 * found['mean_error']:.1f} % | {spread} |"
        )
    lines += ["", "## Trained networks", "", *_trained(report.get("trained", ()))]
    names = sorted({piece for found in cores.values() for piece in found["cycles"]})
    lines += ["", "## Cycles, high bound", "", "| piece | " + " | ".join(cores) + " |"]
    lines.append("|---" * (1 + len(cores)) + "|")
    for piece in names:
        found = [cores[core]["cycles"].get(piece, ["–", "–"])[1] for core in cores]
        lines.append(f"| {piece} | " + " | ".join(str(one) for one in found) + " |")
    lines += ["", "## Least and largest error, by projection and table", ""]
    lines += ["| tables | " + " | ".join(cores) + " |", "|---" * (1 + len(cores)) + "|"]
    for label in sorted({label for found in cores.values() for label in found["spread"]}):
        told = (cores[core]["spread"].get(label) for core in cores)
        words = (f"{100 * off[0]:+.0f} to {100 * off[1]:+.0f} %" if off else "–" for off in told)
        lines.append(f"| {label} | {' | '.join(words)} |")
    return "\n".join([*lines, ""])


def _trained(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Executed and predicted cycles of networks trained on real data."""
    yield "| network | core | samples | executed cycles: low, high | predicted | error of the high one |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        executed, said = (
            ", ".join(f"{bound:,.0f}" for bound in row[key]) for key in ("executed", "predicted")
        )
        error = 100 * (row["predicted"][1] / row["executed"][1] - 1)
        told = (row["model"], row["core"], row["samples"], executed, said, f"{error:+.1f} %")
        yield f"| {' | '.join(map(str, told))} |"

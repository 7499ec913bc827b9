"""The results of ``benchmarks.rivals`` as JSON and as a page: means, and differences paired by seed."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.examples import versions

FOLDER = Path(__file__).parent.parent / "docs" / "results"
CONTROLS = ("magnitude", "regenerate-random", "regenerate-gradient")
SEED = ("criticality", "criticality-m0", "criticality-m1", "criticality-m2")
Row = Mapping[str, Any]

HEAD = """# Training-time pruning methods, compared

`python -m benchmarks.rivals`: MNIST, 784-256-10, eight steps of constant input, soft reset, a readout
that sums its membranes; the first {samples} training samples, batch 128, Adam 2e-3 with a cosine, 20 events
over the first three quarters, one thread. No method was tuned. "trained" methods prune a net of 3 dense
epochs for 2 more, "untrained" ones have all 5 epochs. Both layers are pruned and counted. Accuracies are
of the last epoch on the 5,999 validation samples, in per cent, mean ± standard deviation over n seeds; test
accuracy stands beside them and decided nothing. This is a short and hard setting (2 epochs are {steps}
steps): it ranks rules for cheap pruning, and is no statement about long training. "by shape" is
Erdős–Rényi-Kernel allocation: no rule gains by moving weights between layers. Where n is 1, differences
of a point mean nothing (seeds spread by about half a point at 97 %). SynOps are additions of hidden spikes
a sample, the constant input's left out.
"""


def write_results(every: Sequence[Row]) -> None:
    """Write ``docs/results/rivals.json`` and ``rivals.md``."""
    rows, refused = ([row for row in every if ("refused" in row) is which] for which in (False, True))
    table, pairs = summaries(rows), against_controls(rows)
    report = {
        "versions": versions(),
        "seconds_of_fits": sum(float(row["seconds"]) for row in rows),
        "table": table,
        "paired": pairs,
        "refused": refused,
    }
    # one line a row: there are hundreds
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    text = json.dumps(report, indent=1).removesuffix("\n}") + f',\n "rows": [\n{lines}\n ]\n}}\n'
    (FOLDER / "rivals.json").write_text(text, encoding="utf-8")
    (FOLDER / "rivals.md").write_text(page(table, pairs, rows, refused), encoding="utf-8")


def summaries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One entry a method and sparsity, best first, with its difference to magnitude paired by seed."""
    found = []
    for sparsity in sorted({row["sparsity"] for row in rows}):
        at = [row for row in rows if row["sparsity"] == sparsity]
        entries = [_summary(at, name) for name in sorted({row["method"] for row in at})]
        found += sorted(entries, key=lambda entry: -float(entry["accuracy"]))
    return found


def _summary(rows: Sequence[Row], name: str) -> dict[str, Any]:
    mine = [row for row in rows if row["method"] == name]
    values = [float(row["accuracy"]) for row in mine]
    return {
        "method": name,
        "sparsity": mine[0]["sparsity"],
        "begins": mine[0]["begins"],
        "n": len(mine),
        "accuracy": statistics.mean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "accuracy_test": statistics.mean(float(row["accuracy_test"]) for row in mine),
        "effective_acs": statistics.mean(float(row["effective_acs"]) for row in mine),
        "bytes": statistics.mean(float(row["bytes"]) for row in mine),
        "epochs": mine[0]["epochs"],
        "against_magnitude": paired(rows, name, "magnitude"),
    }


def paired(rows: Sequence[Row], name: str, control: str) -> dict[str, Any] | None:
    """Mean, deviation and sign count of the differences by seed; None without a common seed."""
    first, second = (
        {r["seed"]: float(r["accuracy"]) for r in rows if r["method"] == m} for m in (name, control)
    )
    differences = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    if not differences:
        return None
    deviation = statistics.stdev(differences) if len(differences) > 1 else None
    better = sum(difference > 0 for difference in differences)
    return {
        "mean": statistics.mean(differences),
        "deviation": deviation,
        "n": len(differences),
        "better": better,
    }


def against_controls(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The seed's loop against no regeneration, random and gradient."""
    found = []
    for sparsity in sorted({row["sparsity"] for row in rows}):
        at = [row for row in rows if row["sparsity"] == sparsity]
        for suffix, name, control in itertools.product(("", ", by shape"), SEED, CONTROLS):
            pair = {"method": name + suffix, "control": control + suffix}
            difference = paired(at, pair["method"], pair["control"])
            if difference is not None:
                found.append({"sparsity": sparsity, **pair, **difference})
    return found


def page(table: Sequence[Row], pairs: Sequence[Row], rows: Sequence[Row], refused: Sequence[Row] = ()) -> str:
    """The results as Markdown."""
    samples = int(rows[0]["sample_passes"]) // int(rows[0]["epochs"])
    lines = [HEAD.format(samples=f"{samples:,}", steps=2 * -(-samples // 128))]
    for sparsity in sorted({entry["sparsity"] for entry in table}):
        at = [entry for entry in table if entry["sparsity"] == sparsity]
        lines += [f"## {sparsity:.0%} weight sparsity", "", *_table(at), ""]
    lines += ["## The seed's loop against its controls, paired by seed", "", *_pairs(pairs), ""]
    lines += ["## Runs that the pruner stopped", ""] if refused else []
    lines += [f"- {r['method']}, {r['sparsity']:.0%}, seed {r['seed']}: {r['refused']}" for r in refused]
    lines += [""] if refused else []
    lines.append(
        "Measured with " + ", ".join(f"{name} {value}" for name, value in versions().items()) + ".\n"
    )
    return "\n".join(lines)


def _table(entries: Sequence[Row]) -> list[str]:
    head = "| method | begins | n | validation | test | against magnitude, paired | SynOps | bytes |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for entry in entries:
        cells = [entry["method"], entry["begins"], str(entry["n"])]
        cells.append(_spread(entry["accuracy"], entry["deviation"]))
        cells.append(f"{100 * entry['accuracy_test']:.2f}")
        cells.append(_difference(entry["against_magnitude"]))
        cells += [f"{entry['effective_acs']:,.0f}", f"{entry['bytes']:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pairs(pairs: Sequence[Row]) -> list[str]:
    lines = ["| sparsity | regenerates by | minus | points | seeds better |", "|---|---|---|---|---|"]
    for pair in pairs:
        cells = [f"{pair['sparsity']:.0%}", pair["method"], pair["control"], _difference(pair)]
        lines.append("| " + " | ".join([*cells, f"{pair['better']} of {pair['n']}"]) + " |")
    return lines


def _spread(mean: float, deviation: float | None) -> str:
    return f"{100 * mean:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _difference(difference: Row | None) -> str:
    if difference is None:
        return "–"
    text = f"{100 * difference['mean']:+.2f}"
    return text + ("" if difference["deviation"] is None else f" ± {100 * difference['deviation']:.2f}")

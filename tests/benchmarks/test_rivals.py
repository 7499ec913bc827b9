import json
from typing import Any

import pytest

from benchmarks.rivals_page import FOLDER, against_controls, page, paired, summaries
from pruner.registry import METHODS


def row(method: str, seed: int, accuracy: float) -> dict[str, Any]:
    return {
        "method": method,
        "sparsity": 0.9,
        "begins": "trained",
        "seed": seed,
        "accuracy": accuracy,
        "accuracy_test": accuracy,
        "effective_acs": 1.0,
        "bytes": 1.0,
        "epochs": 2,
        "sample_passes": 4,
    }


def test_differences_are_taken_between_rows_of_one_seed() -> None:
    rows = [row("magnitude", 0, 0.8), row("magnitude", 1, 0.9), row("lamp", 1, 0.92), row("lamp", 2, 0.1)]
    found = paired(rows, "lamp", "magnitude")
    assert found is not None
    assert found["mean"] == pytest.approx(0.02)
    assert (found["n"], found["better"]) == (1, 1)
    assert paired(rows, "lamp", "snip") is None


def test_a_run_that_the_pruner_stopped_stands_on_the_page_with_its_reason() -> None:
    rows = [row("magnitude", 0, 0.8)]
    stopped = {"method": "gradient", "sparsity": 0.9, "seed": 0, "refused": "found no synapse left"}
    assert "- gradient, 90%, seed 0: found no synapse left" in page(summaries(rows), [], rows, [stopped])


def test_the_committed_page_is_made_of_the_committed_rows() -> None:
    report = json.loads((FOLDER / "rivals.json").read_text(encoding="utf-8"))
    rows = report["rows"]
    assert report["table"] == summaries(rows)
    assert report["paired"] == against_controls(rows)
    text = (FOLDER / "rivals.md").read_text(encoding="utf-8")
    made = page(report["table"], report["paired"], rows, report["refused"])
    assert made.partition("\nMeasured with")[0] == text.partition("\nMeasured with")[0]


@pytest.mark.parametrize("sparsity", [0.9, 0.95, 0.97])
def test_every_method_has_a_committed_row(sparsity: float) -> None:
    report = json.loads((FOLDER / "rivals.json").read_text(encoding="utf-8"))
    names = {found["method"] for found in report["rows"] if found["sparsity"] == sparsity}
    assert names >= METHODS.keys()

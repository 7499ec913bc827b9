"""``compare``: models side by side, beside the sizes of other formats, and what changed between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.plan import plan
from runtime import container
from runtime.coding import encode_input
from runtime.cost import table_bytes
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError
from runtime.program import Program, n_neurons
from spikepress.card import encodings_of, nonzeros, program_path, weight_sparsity
from spikepress.changes import Changes, changes
from spikepress.energy import EnergyLine, energy_lines, work_of
from spikepress.flows import worst_synops
from spikepress.progress import Notify, silent
from spikepress.reference_sizes import FORMATS, sizes
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test


@dataclass(frozen=True)
class Side:
    """One model's figures; operations are per sample."""

    name: str
    accuracy: float
    samples: int
    flash_bytes: int
    """Stored, to the byte; code is the target's own."""
    ram_bytes: int
    """Worst case, without stack, under the fastest schedule."""
    peak: str
    neurons: int
    kept_weights: int
    weight_sparsity: float
    effective_acs: float
    input_adds: float
    worst_synops: int
    table_bytes: int
    references: dict[str, int]
    """Bytes of the same tables in the formats of others, by name."""
    onnx_file_bytes: int | None
    """Of the ``model.onnx`` that was written beside the model."""
    encodings: dict[str, str]
    energy: tuple[EnergyLine, ...]

    @property
    def synops(self) -> float:
        return self.effective_acs + self.input_adds

    def as_json(self) -> dict[str, object]:
        return {
            **{name: value for name, value in vars(self).items() if name != "energy"},
            "synops": self.synops,
            "energy_nanojoule_estimated": {line.name: line.nanojoule for line in self.energy},
        }


@dataclass(frozen=True)
class Comparison:
    """``changed``: from each model to the next."""

    sides: tuple[Side, ...]
    changed: tuple[Changes, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "models": [side.as_json() for side in self.sides],
            "formats": {form.name: form.rule for form in FORMATS},
            "changes": [found.as_json() for found in self.changed],
        }


def compare(
    models: Sequence[str | Path],
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int | None = None,
    notify: Notify = silent,
) -> Comparison:
    """Runs each model on test samples, its own data set's or ``data``'s, and sets them side by side.

    Raises ConfigError without a model, DataError or FormatError for one that cannot be read.
    """
    if not models:
        raise ConfigError("compare: found no model, expected at least one")
    paths = [program_path(model) for model in models]
    read = [(RunDirectory(path.parent), container.read(path)) for path in paths]
    sides = []
    for number, (model, (run, program)) in enumerate(zip(models, read, strict=True)):
        notify("compare", number / len(read))
        test = samples_of_test(run, data, data_dir)
        sides.append(_side(str(model), run, program, (test.x[:samples], np.asarray(test.y[:samples]))))
    notify("compare", 1.0)
    pairs = pairwise(read)
    return Comparison(tuple(sides), tuple(changes(one, other) for one, other in pairs))


def _side(name: str, run: RunDirectory, program: Program, test: tuple[NDArray[Any], NDArray[Any]]) -> Side:
    x, labels = test
    if len(x) == 0:
        raise DataError("compare: found no samples, expected at least one")
    result, memory = Engine(program).run(encode_input(x, program.input)), plan(program)
    counts = result.counts
    target = labels if labels.ndim == 1 else labels[:, -1]
    return Side(
        name=name,
        accuracy=float(np.mean(result.predictions == target)),
        samples=len(x),
        flash_bytes=memory.flash_bytes,
        ram_bytes=memory.ram_bytes,
        peak=memory.peak,
        neurons=sum(n_neurons(p) for p in program.populations[1:]),
        kept_weights=sum(nonzeros(program)),
        weight_sparsity=weight_sparsity(program),
        effective_acs=counts.effective_acs / counts.samples,
        input_adds=counts.input_adds / counts.samples,
        worst_synops=worst_synops(program),
        table_bytes=sum(table_bytes(table) for table in program.tables),
        references=sizes(program),
        onnx_file_bytes=run.onnx.stat().st_size if run.onnx.exists() else None,
        encodings=encodings_of(program),
        energy=energy_lines(work_of(counts)),
    )

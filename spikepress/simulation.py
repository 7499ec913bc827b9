"""``simulate``: the Verilog of a folder run clock by clock, each spike and membrane held to the engine's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.targets.verilog_clocks import clocks, synops
from runtime.coding import encode_input
from runtime.engine import Engine
from runtime.errors import DataError
from spikepress.exactness import compare
from spikepress.gateware import read_gateware
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test
from spikepress.tools.rtl import chosen, outputs, trace_of


@dataclass(frozen=True)
class Simulation:
    """What the core did. ``mismatches``: spikes, membranes, scores and answers that differ from the engine's;
    ``off_formula``: samples whose clocks or synaptic operations are not those of the formula."""

    device: str
    simulator: str
    samples: int
    accuracy: float
    mismatches: int
    off_formula: int
    mean_clocks: float
    min_clocks: int
    max_clocks: int
    mean_synops: float

    @property
    def exact(self) -> bool:
        return self.mismatches == 0 and self.off_formula == 0

    def as_json(self) -> dict[str, object]:
        return {
            "device": self.device,
            "simulator": self.simulator,
            "samples": self.samples,
            "accuracy": self.accuracy,
            "mismatches": self.mismatches,
            "off_formula": self.off_formula,
            "cycles": {"mean": self.mean_clocks, "min": self.min_clocks, "max": self.max_clocks},
            "synops": self.mean_synops,
        }

    @property
    def sentence(self) -> str:
        return (
            f"{self.device} ({self.simulator}): accuracy {self.accuracy:.2%} on {self.samples:,} samples,"
            f" {self.mean_clocks:,.0f} clocks an inference ({self.min_clocks:,} to {self.max_clocks:,}),"
            f" {self.mean_synops:,.0f} synaptic operations, {self.mismatches} values differ,"
            f" {self.off_formula} samples are off the clock formula"
        )


def simulate(
    folder: str | Path,
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int = 5,
    simulator: str | None = None,
    notify: Notify = silent,
) -> Simulation:
    """Runs the folder's Verilog on the first ``samples`` test samples.

    DataError for no folder or no samples, ConfigError where no simulator is installed, ModelError where the
    Verilog does not build or run.
    """
    read = read_gateware(folder)
    tool = chosen(simulator)
    test = samples_of_test(RunDirectory(read.path), data, data_dir)
    x, y = test.x[:samples], np.asarray(test.y[:samples])
    if len(x) == 0:
        raise DataError("simulate: found no samples, expected at least one")
    coded = encode_input(x, read.core.program.input)
    notify("simulate", 0.0)
    found = outputs(read.files, read.core, coded, tool)
    notify("compare", 0.9)
    result = Engine(read.core.program).run(np.ascontiguousarray(coded), trace=True)
    assert result.trace is not None
    trace = trace_of(read.core, found)
    told = compare(tool, result.trace, trace)
    wrong = told.differing_spikes + told.differing_membranes + told.differing_predictions
    wrong += int(np.count_nonzero(trace.scores != result.scores))
    counted = found[:, -2]
    off = (counted != clocks(read.core, coded, result.trace)) | (
        found[:, -1] != synops(read.core, coded, result.trace)
    )
    notify("compare", 1.0)
    return Simulation(
        device=read.device,
        simulator=tool,
        samples=len(x),
        accuracy=float(np.mean(trace.predictions == (y if y.ndim == 1 else y[:, -1]))),
        mismatches=int(wrong),
        off_formula=int(np.count_nonzero(off)),
        mean_clocks=float(counted.mean()),
        min_clocks=int(counted.min()),
        max_clocks=int(counted.max()),
        mean_synops=float(found[:, -1].mean()),
    )

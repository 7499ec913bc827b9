"""``emulate``: a firmware folder built as it is, and run on an emulated core of its device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter.targets.c_folder import OPTIMIZE
from runtime.coding import encode_input
from runtime.engine import Engine
from runtime.errors import DataError
from spikepress.exactness import compare
from spikepress.firmware import Folder, read_folder
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test
from spikepress.tools import elf
from spikepress.tools.cross import Watched, build_for_core
from spikepress.tools.inference import Inference, infer, worst_step
from spikepress.tools.machine import Count, Memories
from spikepress.tools.toolchain import toolchain_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NETWORK_SECTION = ".net_data"


@dataclass(frozen=True)
class Timed:
    """Clock cycles (low, high) with memory that never waits: of an inference, and of the worst step. Both
    bounds are equal where the core always takes the same."""

    mean: tuple[float, float]
    least: tuple[int, int]
    most: tuple[int, int]
    worst_step: tuple[int, int]

    def as_json(self) -> dict[str, object]:
        return {"mean": self.mean, "min": self.least, "max": self.most, "worst_step": self.worst_step}


@dataclass(frozen=True)
class Emulation:
    """What the linked image is and does. Instructions are executed ones; ``cycles`` are None on a core whose
    maker publishes none.

    ``ram_bytes`` is variables and the deepest stack of the run together. ``mismatches``: spikes, membranes,
    scores and answers that differ from the engine's, over all samples, on the emulated core.
    """

    device: str
    core: str
    compiler: str
    samples: int
    accuracy: float
    mean_instructions: float
    min_instructions: int
    max_instructions: int
    worst_step_instructions: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    mismatches: int
    multiplies: int
    soft_multiplies: int
    predicted_data_bytes: int
    data_bytes: int
    predicted_struct_bytes: int
    static_ram_bytes: int
    mhz: int
    cycles: Timed | None

    def as_json(self) -> dict[str, object]:
        return {
            "device": self.device,
            "core": self.core,
            "compiler": self.compiler,
            "samples": self.samples,
            "accuracy": self.accuracy,
            "instructions": {
                "mean": self.mean_instructions,
                "min": self.min_instructions,
                "max": self.max_instructions,
                "worst_step": self.worst_step_instructions,
            },
            "cycles": None if self.cycles is None else self.cycles.as_json(),
            "ms": None if self.cycles is None else [mean / (1000 * self.mhz) for mean in self.cycles.mean],
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "stack_bytes": self.stack_bytes,
            "mismatches": self.mismatches,
            "multiplies": self.multiplies,
            "soft_multiplies": self.soft_multiplies,
            "data_bytes": {"predicted": self.predicted_data_bytes, "linked": self.data_bytes},
            "static_ram_bytes": {"struct": self.predicted_struct_bytes, "linked": self.static_ram_bytes},
        }

    @property
    def sentence(self) -> str:
        return (
            f"{self.device} ({self.core}, {self.compiler}): accuracy {self.accuracy:.2%} on {self.samples:,}"
            f" samples, {self.mean_instructions:,.0f} instructions an inference"
            f" ({self.min_instructions:,} to {self.max_instructions:,}){self._time},"
            f" flash {self.flash_bytes:,} B, RAM {self.ram_bytes:,} B with {self.stack_bytes} B of stack,"
            f" {self.multiplies + self.soft_multiplies} multiplications, {self.mismatches} values differ"
        )

    @property
    def _time(self) -> str:
        if self.cycles is None:
            return ""
        (low, high), (_, most), clock = self.cycles.mean, self.cycles.most, 1000 * self.mhz
        if low == high:
            return f", {low:,.0f} cycles: {low / clock:.2f} ms at {self.mhz} MHz, {most / clock:.2f} at most"
        span = f"{low / clock:.2f} to {high / clock:.2f} ms at {self.mhz} MHz"
        return f", {low:,.0f} to {high:,.0f} cycles: {span}, {most / clock:.2f} at most"


def emulate(
    folder: str | Path,
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int = 20,
    notify: Notify = silent,
) -> Emulation:
    """Builds the folder's files and runs them on the first ``samples`` test samples.

    DataError for no folder or no samples, ModelError where it does not compile, link or run.
    """
    read = read_folder(folder)
    test = samples_of_test(RunDirectory(read.path), data, data_dir)
    x, y = test.x[:samples], np.asarray(test.y[:samples])
    if len(x) == 0:
        raise DataError("emulate: found no samples, expected at least one")
    core = read.board.core
    notify("build", 0.0)
    image = elf.read(build_for_core(read.files, core, "-Wl,--gc-sections"))
    coded = encode_input(x, read.firmware.program.input)
    notify("emulate", 0.1)
    memories = Memories(read.board.flash_bytes, read.board.ram_bytes)
    done, machine = infer(image, core, memories, read.firmware, coded)
    stack = machine.stack_bytes()
    worst = worst_step(machine, read.firmware)
    notify("compare", 0.5)
    mismatches = _differences(read, coded, done)
    notify("compare", 1.0)
    answers = np.array([one.answer for one in done])
    counts = np.array([one.count.instructions for one in done])
    return Emulation(
        device=read.board.name,
        core=core.name,
        compiler=f"{toolchain_of(core).compiler.version()} {OPTIMIZE}",
        samples=len(x),
        accuracy=float(np.mean(answers == (y if y.ndim == 1 else y[:, -1]))),
        mean_instructions=float(counts.mean()),
        min_instructions=int(counts.min()),
        max_instructions=int(counts.max()),
        worst_step_instructions=worst.instructions,
        flash_bytes=image.flash_bytes,
        ram_bytes=image.static_ram_bytes + stack,
        stack_bytes=stack,
        mismatches=mismatches,
        multiplies=sum(one.count.multiplies for one in done),
        soft_multiplies=sum(one.count.soft_multiplies for one in done),
        predicted_data_bytes=read.firmware.data_bytes,
        data_bytes=image.sections[NETWORK_SECTION].bytes if NETWORK_SECTION in image.sections else 0,
        predicted_struct_bytes=read.firmware.ram_bytes,
        static_ram_bytes=image.static_ram_bytes,
        mhz=read.board.mhz,
        cycles=_timed(done, worst),
    )


def _timed(done: Sequence[Inference], worst: Count) -> Timed | None:
    counts = [one.count.cycles for one in done if one.count.cycles is not None]
    if worst.cycles is None or not counts:
        return None
    low, high = [c.low for c in counts], [c.high for c in counts]
    return Timed(
        mean=(float(np.mean(low)), float(np.mean(high))),
        least=(min(low), min(high)),
        most=(max(low), max(high)),
        worst_step=(worst.cycles.low, worst.cycles.high),
    )


def _differences(read: Folder, coded: NDArray[np.int32], done: Sequence[Inference]) -> int:
    """Values of the product's answers and of the watched twin's trace that are not the engine's."""
    result = Engine(read.firmware.program).run(np.ascontiguousarray(coded), trace=True)
    assert result.trace is not None
    found = Watched(read.firmware, read.board.core, read.files).run(coded)
    trace = compare(read.board.core.name, result.trace, found)
    product = sum(one.answer != answer for one, answer in zip(done, result.predictions, strict=True))
    scores = np.array([one.scores for one in done])
    product += int(np.count_nonzero(scores != result.scores))
    spikes = trace.differing_spikes + trace.differing_membranes + trace.differing_predictions
    return int(spikes + product)

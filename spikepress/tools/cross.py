"""Builds C for a core, and runs the watched network there: every spike and stored membrane as a trace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.plan import PlanOptions, plan
from exporter.targets.c_cores import Core
from exporter.targets.c_folder import OPTIMIZE, Board, linker_script, start_code
from exporter.targets.c_memory import Role
from exporter.targets.c_source import Firmware, describe, sources, watchers
from runtime.program import Program, n_neurons
from runtime.trace import Trace
from spikepress.tools import elf
from spikepress.tools.compiler import build
from spikepress.tools.host import layers_of
from spikepress.tools.machine import Machine, Memories
from spikepress.tools.toolchain import machine_of, toolchain_of

LINK = ("-nostdlib", "-T", "link.ld")

Coded = NDArray[np.integer]


def build_for_core(files: Mapping[str, str], core: Core, *flags: str) -> Path:
    """The linked image of C files and a ``link.ld``; ModelError where it does not compile or does not fit."""
    tools = toolchain_of(core)
    return build(files, (*tools.flags(core), OPTIMIZE, *flags, *LINK), "firmware.elf", tools.compiler)


def run_on_core(
    program: Program, core: Core, coded: Coded, options: PlanOptions | None = None, *, pairs: bool = False
) -> Trace:
    """Trace of ``program`` as C on an emulated core, on coded input (steps, samples, *shape)."""
    firmware = describe(program, plan(program, options or PlanOptions()), pairs=pairs)
    watched = Watched(firmware, core)
    return watched.run(coded)


class Watched:
    """A network on an emulated core, moved step by step."""

    def __init__(self, firmware: Firmware, core: Core, given: Mapping[str, str] | None = None) -> None:
        """``given``: the network's files as a folder holds them, by default as they are generated."""
        room = Memories(*core.room)
        board = Board("test", "a core for tests", core, 1, room.flash_bytes, room.ram_bytes)
        network = sources(firmware)
        files = {name: (given or network)[name] for name in network}
        files |= {**watchers(firmware), "start.c": start_code(core)}
        del files["host.c"]
        files["link.ld"] = linker_script(firmware, board)
        image = elf.read(build_for_core(files, core, "-DSNN_WATCH", "-Wl,--no-gc-sections"))
        self.firmware = firmware
        self._spikes: dict[int, NDArray[np.int32]] = {}
        self._kept: dict[int, tuple[NDArray[np.int32], NDArray[np.int32]]] = {}
        self._latest = 0
        stubs = {f"{firmware.prefix}_fired": self._fired}
        if firmware.by_rows:
            stubs = {
                f"{firmware.prefix}_fired": self._fired_last,
                f"{firmware.prefix}_stored": self._was_stored,
            }
        self.machine = machine_of(image, core, room, stubs)
        self.machine.call("watch_init")

    def run(self, coded: Coded) -> Trace:
        """The trace of whole samples (steps, samples, *shape)."""
        program = self.firmware.program
        steps, samples = coded.shape[:2]
        layers = dict(layers_of(program))
        spikes = {name: np.zeros((steps, samples, n), np.int32) for name, n in layers.items()}
        membranes = {name: np.zeros((steps, samples, n), np.int32) for name, n in layers.items()}
        outputs = n_neurons(program.populations[program.output])
        scores = np.zeros((samples, outputs), np.int64)
        answers = np.zeros(samples, np.int64)
        for sample in range(samples):
            self._feed(coded[0, sample])
            if self.firmware.by_rows:
                self._kept = {
                    p.number: (spikes[p.name][:, sample], membranes[p.name][:, sample])
                    for p in self.firmware.neurons
                }
                self.machine.call("watch_run")
                scores[sample] = self._scores()
                answers[sample] = self.machine.call("main")
                continue
            self.machine.call("watch_reset")
            for step in range(steps):
                self._feed(coded[step, sample])
                self._spikes = {p.number: spikes[p.name][step, sample] for p in self.firmware.neurons}
                self.machine.call("watch_step")
                for part in self.firmware.neurons:
                    membranes[part.name][step, sample] = self._stored(part.number)
            scores[sample] = self._scores()
            answers[sample] = self.machine.call("main")
        return Trace(spikes, membranes, scores, answers)

    def _feed(self, frame: NDArray[np.integer]) -> None:
        self.machine.write(self.machine.address("watch_frame"), frame.astype("<i4").tobytes())

    def _fired(self, machine: Machine) -> int:
        population, neuron, payload = machine.arguments("www")
        self._spikes[population][neuron] += payload
        return 0

    def _fired_last(self, machine: Machine) -> int:
        self._latest = machine.arguments("www")[2]
        return 0

    def _was_stored(self, machine: Machine) -> int:
        """A membrane of a row, and the spike that was told just before."""
        step, population, neuron, v = machine.arguments("wwww")
        spikes, membranes = self._kept[population]
        spikes[step, neuron], self._latest = self._latest, 0
        membranes[step, neuron] = v - ((v & 1 << 31) << 1)
        return 0

    def _stored(self, number: int) -> NDArray[np.int32]:
        """The stored membranes of a population, read from RAM."""
        member = self.firmware.memory.get(number, Role.MEMBRANES)
        raw = self.machine.read(self.machine.address("watch_net") + member.offset, member.bytes)
        items = np.frombuffer(raw, f"<i{member.bytes // member.fields[0].count}")
        return items.astype(np.int32)

    def _scores(self) -> NDArray[np.int64]:
        member = self.firmware.memory.get(self.firmware.program.output, Role.SCORES)
        raw = self.machine.read(self.machine.address("watch_net") + member.offset, member.bytes)
        return np.frombuffer(raw, "<i4").astype(np.int64)

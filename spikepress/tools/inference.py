"""Runs a product image sample by sample on an emulated core: answers, instructions, stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.targets.c_cores import Core
from exporter.targets.c_memory import Role
from exporter.targets.c_source import Firmware
from runtime.program import n_neurons
from spikepress.tools.elf import Image
from spikepress.tools.machine import Count, Machine, Memories, Pointer
from spikepress.tools.toolchain import machine_of

Coded = NDArray[np.integer]


@dataclass(frozen=True)
class Inference:
    """One sample: from one answer to the next, reading the sample included, the board's own code not."""

    answer: int
    scores: tuple[int, ...]
    count: Count


@dataclass
class Feeder:
    """Plays the board: hands out the coded values of one sample after the other and takes the answers."""

    firmware: Firmware
    coded: Coded
    """(steps, samples, *shape)."""

    def __post_init__(self) -> None:
        self.done: list[Inference] = []
        self._order = [0, *range(self.coded.shape[1])]  # the first run of sample 0 includes the start-up
        self._turn = 0
        self._step = 0
        self._waiting: list[tuple[int, int]] | None = None

    @property
    def stubs(self) -> dict[str, Callable[[Machine], int | None]]:
        read = (
            {"board_read": self.read} if self.firmware.input.kind == "frame" else {"board_event": self.event}
        )
        return {**read, "board_show": self.show}

    def read(self, machine: Machine) -> int:
        """Write the values of a frame."""
        machine.write(machine.arguments("p")[0], _raw(self._frame(), self.firmware))
        self._step += 1
        return 0

    def event(self, machine: Machine) -> int:
        """Write the next event of the step; 0 when there is none."""
        if self._waiting is None:
            frame = self._frame()
            self._waiting = [(int(at), int(frame[at])) for at in np.flatnonzero(frame)]
        if not self._waiting:
            self._waiting = None
            self._step += 1
            return 0
        at, payload = self._waiting.pop(0)
        graded = self.firmware.program.input.bits > 1
        places = machine.arguments("pp" if graded else "p")
        for place, value in zip(places, (at, payload), strict=False):
            machine.write(place, value.to_bytes(4, "little"))
        return 1

    def show(self, machine: Machine) -> int | None:
        """Take an answer; None when it was the last."""
        outputs = n_neurons(self.firmware.program.populations[self.firmware.program.output])
        answer, place = machine.arguments("wp")
        raw = machine.read(place, 4 * outputs)
        scores = tuple(int(value) for value in np.frombuffer(raw, "<i4"))
        if self._turn:
            self.done.append(Inference(answer, scores, machine.count()))
        machine.begin_count()
        self._turn += 1
        self._step = 0
        return 0 if self._turn < len(self._order) else None

    def _frame(self) -> NDArray[np.integer]:
        frame: NDArray[np.integer] = self.coded[self._step, self._order[self._turn]].ravel()
        return frame


def _raw(frame: NDArray[np.integer], firmware: Firmware) -> bytes:
    """A frame of raw samples, as firmware takes them, that the input coding makes ``frame`` of."""
    samples = frame << firmware.input.dropped
    return samples.astype(_numpy_type(firmware.input.member.fields[0].c_type)).tobytes()


def infer(
    image: Image, core: Core, memories: Memories, firmware: Firmware, coded: Coded
) -> tuple[Sequence[Inference], Machine]:
    """Boot the image and run every sample; the machine is left as it stands after the last."""
    feeder = Feeder(firmware, coded)
    machine = machine_of(image, core, memories, dict(feeder.stubs))
    machine.boot()
    return feeder.done, machine


def worst_step(machine: Machine, firmware: Firmware) -> Count:
    """One step with every input at its largest and every membrane forced to its upper bound.

    Row by row there is no such step: a whole sample of such an input.
    """
    n, spec = firmware.prefix, firmware.program.input
    net, highest = Pointer(machine.address("net")), (1 << spec.bits) - 1
    inputs = n_neurons(firmware.program.populations[0])

    def fill() -> None:
        if firmware.input.kind == "frame":
            machine.write(machine.call(f"{n}_frame", net), _raw(np.full(inputs, highest), firmware))
            return
        for at in range(inputs):
            machine.call(f"{n}_push", net, at, highest)

    if firmware.by_rows:
        fill()
        machine.begin_count()
        machine.call(f"{n}_run", net)
        return machine.count()
    if spec.constant:
        fill()
        machine.call(f"{n}_reset", net)
    else:
        machine.call(f"{n}_reset", net)
        fill()
    for part in firmware.neurons:
        member = firmware.memory.get(part.number, Role.MEMBRANES)
        values = np.full(part.size, part.v_max, f"<i{part.width // 8}")
        machine.write(net + member.offset, values.tobytes())
    machine.begin_count()
    machine.call(f"{n}_step", net)
    return machine.count()


def _numpy_type(c_type: str) -> np.dtype[np.generic]:
    """``uint8_t`` as numpy's little-endian type."""
    return np.dtype(c_type.removesuffix("_t")).newbyteorder("<")

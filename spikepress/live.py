"""Runs a network on events as they come: a recording, or lines ``t,x,y,p`` of a pipe.

Events are counted into steps of the network's ``step_us``; every ``n_steps`` steps are a sample, decided as
soon as an event of a later one arrives. Time begins with the sample that the first event falls into. What is
held at any time is the network's state and one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime import container
from runtime.engine import Engine
from runtime.errors import DataError, UnsupportedError
from runtime.program import Program
from runtime.spec import Coding
from spikepress.card import program_path

if TYPE_CHECKING:
    from trainer.datasets.events import Events

RECORDINGS = (".bin", ".dat", ".h5", ".hdf5", ".npz")
PIPE = "-"
MOST_LINE = 200
"""Bytes of a line."""
MOST_SILENCE = 1_000_000
"""Steps without an event: a longer gap is a clock that jumped."""


class Event(NamedTuple):
    """Microseconds, column, row, polarity."""

    t: int
    x: int
    y: int
    p: int


@dataclass(frozen=True)
class Decision:
    """What the network said at the end of a sample, ``t`` microseconds after the recording's time zero.

    ``events`` of the sample, spread over its steps; ``synops``: additions since the last decision.
    """

    t: int
    prediction: int
    label: str
    scores: tuple[int, ...]
    events: int
    synops: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        return f"{self.t:,} us: {self.label} ({self.events:,} events, {self.synops:,} additions)"


def is_recording(data: str) -> bool:
    """Whether ``data`` names events to be run as they come: a pipe, or a file of a recording."""
    if data == PIPE:
        return True
    path = Path(data)
    if path.suffix.lower() not in RECORDINGS:
        return False
    if path.suffix.lower() != ".npz":
        return True
    from trainer.datasets.files import holds_events

    return path.is_file() and holds_events(path)


def live(
    model: str | Path, events: Iterable[Event], *, carry: bool = False, where: str = "events"
) -> Iterator[Decision]:
    """Decisions on ``events``, whose times must not fall behind the current step. ``carry``: the membranes
    of a sample go on into the next, and so do its scores.

    Raises UnsupportedError for a network that does not hear events, DataError for an event that is none.
    """
    program = container.read(program_path(model))
    if program.input.coding is not Coding.EVENTS:
        raise UnsupportedError(
            f"run: found {program.input.coding.value} input, expected a network that hears events"
        )
    yield from _Live(program, carry, where).run(events)


def events_of_file(path: str | Path) -> Iterator[Event]:
    """The events of a recording in the order of their times: N-MNIST .bin, Prophesee .dat, HDF5 or NPZ."""
    from trainer.datasets.files import read_event_file

    found: Events = read_event_file(Path(path))
    for k in np.argsort(found.t, kind="stable"):
        yield Event(int(found.t[k]), int(found.x[k]), int(found.y[k]), int(found.p[k]))


def events_of_lines(lines: IO[str]) -> Iterator[Event]:
    """Events of lines ``t,x,y,p``; a first line of names, empty lines and lines after # are passed over."""
    number = 0
    while line := lines.readline(MOST_LINE + 1):
        number += 1
        if len(line) > MOST_LINE:
            raise DataError(f"line {number}: found over {MOST_LINE} characters, expected t,x,y,p")
        text = line.strip()
        if not text or text.startswith("#") or (number == 1 and text.replace(" ", "") == "t,x,y,p"):
            continue
        yield _event(text, number)


def _event(text: str, number: int) -> Event:
    words = text.split(",")
    try:
        t, x, y, p = (int(word) for word in words)
    except ValueError:
        raise DataError(f"line {number}: found {text[:60]!r}, expected four integers t,x,y,p") from None
    return Event(t, x, y, p)


class _Live:
    """A network, the step that is being gathered and the sample that it belongs to."""

    def __init__(self, program: Program, carry: bool, where: str) -> None:
        self.engine, self.program, self.carry, self.where = Engine(program), program, carry, where
        spec = program.input
        self.step_us, self.n_steps, self.most = spec.step_us, spec.n_steps, (1 << spec.bits) - 1
        self.sides = (*(1,) * (3 - len(spec.shape)), *spec.shape)
        self.frame: NDArray[np.int32] = np.zeros(self.sides, np.int32)
        self.step = 0
        """The step that is being gathered, counted from time zero."""
        self.events = 0
        self.counted = 0

    def run(self, events: Iterable[Event]) -> Iterator[Decision]:
        first = True
        for event in events:
            step = event.t // self.step_us
            if first:
                self.step, first = step - step % self.n_steps, False
            self._check(event, step)
            while self.step < step:
                yield from self._advance()
            self._add(event)
        if not first:
            yield from self._advance()
            while self.step % self.n_steps:
                yield from self._advance()

    def _check(self, event: Event, step: int) -> None:
        if step < self.step:
            raise DataError(
                f"{self.where}: found t = {event.t} after step {self.step} of {self.step_us} us began,"
                " expected times that do not fall"
            )
        if step - self.step > MOST_SILENCE:
            raise DataError(
                f"{self.where}: found {step - self.step} steps without an event before t = {event.t},"
                f" expected at most {MOST_SILENCE}"
            )
        places = (("p", event.p, 2), ("y", event.y, self.sides[1]), ("x", event.x, self.sides[2]))
        for name, value, size in places:
            if not 0 <= value < size:
                raise DataError(
                    f"{self.where}: found {name} = {value} at t = {event.t}, expected 0..{size - 1}"
                )

    def _add(self, event: Event) -> None:
        """Counts an event; both polarities share a channel where there is one."""
        place = (min(event.p, self.sides[0] - 1), event.y, event.x)
        self.frame[place] = min(self.frame[place] + 1, self.most)
        self.events += 1

    def _advance(self) -> Iterator[Decision]:
        self.engine.step(self.frame.reshape(self.program.input.shape))
        self.frame[:] = 0
        self.step += 1
        if self.step % self.n_steps == 0:
            yield self._decided()

    def _decided(self) -> Decision:
        counts = self.engine.counts
        added = counts.effective_acs + counts.input_adds
        scores: Sequence[Any] = self.engine.scores.tolist()
        best = int(np.argmax(self.engine.scores))
        classes = self.program.classes
        label = classes[best] if best < len(classes) else str(best)
        made = Decision(
            self.step * self.step_us, best, label, tuple(scores), self.events, added - self.counted
        )
        self.events, self.counted = 0, added
        if not self.carry:
            self.engine.reset()
        return made

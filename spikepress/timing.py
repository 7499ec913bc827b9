"""Times a network on this machine, beside ONNX Runtime and torch on the same network, in one run.

The contestants take turns sample by sample, so that a change of clock speed or another process meets all
of them alike. Each runs one sample at a time on one thread, after warming up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import container
from runtime.coding import encode_input
from runtime.engine import Engine, Objective
from runtime.errors import DataError
from runtime.program import NeuronPopulation, Population, Program, n_neurons
from runtime.spec import Fire, Readout
from spikepress import onnx_session
from spikepress.card import program_path
from spikepress.machine import machine_facts
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test

Coded = NDArray[np.int32]
WARM_UP = 5
LAYER_SAMPLES = 50


@dataclass(frozen=True)
class Contestant:
    """Latency of one system over the samples, microseconds; ``memory_bytes`` is what holds its weights."""

    name: str
    p50_us: float
    p99_us: float
    per_second: float
    memory_bytes: int
    correct: float
    """Accuracy on the timed samples."""


@dataclass(frozen=True)
class LayerTime:
    """Median time a layer adds to an inference, and the share of its neuron-steps with a spike."""

    layer: str
    microseconds: float
    rate: float


@dataclass(frozen=True)
class Timing:
    """A benchmark of one model: who took how long, layer by layer, on which machine."""

    samples: int
    contestants: tuple[Contestant, ...]
    layers: tuple[LayerTime, ...]
    effective_acs: float
    machine: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class _System:
    name: str
    memory_bytes: int
    predict: Callable[[Coded], int]


def bench(
    model: str | Path,
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int = 200,
    notify: Notify = silent,
) -> Timing:
    """Times ``model`` on the first ``samples`` test samples. Contestants whose file or package is not
    there are left out; DataError when there are no samples."""
    path = program_path(model)
    program = container.read(path)
    test = samples_of_test(RunDirectory(path.parent), data, data_dir)
    coded = encode_input(test.x[:samples], program.input)
    if coded.shape[1] == 0:
        raise DataError("bench: found no samples, expected at least one")
    with _one_thread():
        systems = list(_systems(RunDirectory(path.parent), program))
        notify("time", 0.0)
        contestants = _race(systems, coded, np.asarray(test.y[:samples]), notify)
        layers = _layers(program, coded[:, :LAYER_SAMPLES])
    counts = Engine(program).run(coded).counts
    notify("time", 1.0)
    return Timing(coded.shape[1], contestants, layers, counts.effective_acs / counts.samples, machine_facts())


def _systems(run: RunDirectory, program: Program) -> Iterator[_System]:
    for objective in (Objective.FLASH, Objective.SPEED):
        engine = Engine(program, objective)
        yield _System(f"spikepress, {objective.value}", engine.execution_bytes, _runtime_predict(engine))
    for made in (_onnx_system, _torch_system):
        with suppress(ModuleNotFoundError):
            yield from made(run)


def _runtime_predict(engine: Engine) -> Callable[[Coded], int]:
    return lambda coded: int(engine.run(coded).predictions[0])


def _onnx_system(run: RunDirectory) -> Iterator[_System]:
    """The exported model in ONNX Runtime."""
    if not run.onnx.exists():
        return
    session = onnx_session.opened(run.onnx)

    def predict(coded: Coded) -> int:
        return int(onnx_session.outputs(session, coded)["predictions"][0])

    yield _System("onnxruntime", run.onnx.stat().st_size, predict)


def _torch_system(run: RunDirectory) -> Iterator[_System]:
    """The trained, quantized module as torch evaluates it: dense and in reals."""
    if not run.is_quantized:
        return
    import torch

    from trainer import checkpoint

    net = checkpoint.load(run.quantized_checkpoint()).eval()
    size = sum(p.numel() * p.element_size() for p in net.parameters())

    def predict(coded: Coded) -> int:
        with torch.inference_mode():
            return int(net.scores(net(torch.from_numpy(coded))).argmax(1)[0])

    yield _System("torch", size, predict)


def _race(
    systems: Sequence[_System], coded: Coded, labels: NDArray[Any], notify: Notify
) -> tuple[Contestant, ...]:
    count = coded.shape[1]
    taken = np.zeros((len(systems), count))
    found = np.zeros((len(systems), count), dtype=np.int64)
    for system in systems:
        for index in range(min(WARM_UP, count)):
            system.predict(np.ascontiguousarray(coded[:, index : index + 1]))
    for index in range(count):
        frame = np.ascontiguousarray(coded[:, index : index + 1])
        # Rotating who goes first spreads the cost of a cold cache over all of them.
        for turn in range(len(systems)):
            who = (turn + index) % len(systems)
            start = time.perf_counter_ns()
            found[who, index] = systems[who].predict(frame)
            taken[who, index] = (time.perf_counter_ns() - start) / 1e3
        notify("time", index / count)
    return tuple(
        Contestant(
            system.name,
            float(np.median(taken[who])),
            float(np.percentile(taken[who], 99)),
            float(1e6 / taken[who].mean()),
            system.memory_bytes,
            float(np.mean(found[who] == labels)),
        )
        for who, system in enumerate(systems)
    )


def _layers(program: Program, coded: Coded) -> tuple[LayerTime, ...]:
    """What each population adds: the median time of the network cut after it, less that of the cut before.

    The cuts take turns sample by sample, as the contestants do.
    """
    numbers = [n for n, p in enumerate(program.populations) if isinstance(p, NeuronPopulation)]
    engines = [Engine(_cut(program, number)) for number in numbers]
    taken = np.zeros((len(engines), coded.shape[1]))
    for index in range(-WARM_UP, coded.shape[1]):
        frame = np.ascontiguousarray(coded[:, index : index + 1] if index >= 0 else coded[:, :1])
        for who, engine in enumerate(engines):
            start = time.perf_counter_ns()
            engine.run(frame)
            if index >= 0:
                taken[who, index] = (time.perf_counter_ns() - start) / 1e3
    added = np.diff(np.median(taken, axis=1), prepend=0.0)
    parts = Engine(program).run(coded).counts.populations
    names = [program.populations[number].name for number in numbers]
    return tuple(
        LayerTime(name, max(0.0, float(extra)), parts[name].spikes / max(1, parts[name].updates))
        for name, extra in zip(names, added, strict=True)
    )


def _cut(program: Program, number: int) -> Program:
    """The network up to population ``number``, read there; back edges from beyond are left out."""
    kept = tuple(p for p in program.projections if max(p.pre, p.post) <= number)
    tables = tuple(dict.fromkeys(p.table for p in kept))
    return replace(
        program,
        populations=program.populations[: number + 1],
        projections=tuple(replace(p, table=tables.index(p.table)) for p in kept),
        tables=tuple(program.tables[table] for table in tables),
        output=number,
        readout=_readout_of(program.populations[number]),
        classes=tuple(map(str, range(n_neurons(program.populations[number])))) if program.classes else (),
    )


def _readout_of(population: Population) -> Readout:
    silent = isinstance(population, NeuronPopulation) and population.neuron.fire is Fire.SILENT
    return Readout.MEMBRANE_LAST if silent else Readout.COUNT


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch while it is timed, if torch is there; the number before is put back."""
    try:
        import torch
    except ModuleNotFoundError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""An ANN from ONNX as a run directory: balanced on data, with its accuracy against the number of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError
from runtime.spec import Coding, InputSpec
from spikepress.importing import Imported, import_graph
from spikepress.rundir import RunDirectory, read_json, write_json
from spikepress.samples import TestSamples, samples_of_test

if TYPE_CHECKING:
    from exporter.sources.onnx_ann import Ann
    from runtime.program import Program

STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
WITHIN = 0.005
"""Of the ANN's accuracy, on validation samples: the fewest steps that reach it are taken."""
CALIBRATION = 500
MOST_VALIDATION = 1_000


@dataclass(frozen=True)
class AnnImport:
    """``accuracy``: of the integer network by its number of steps, on validation samples, and of the ANN;
    ``test_accuracy`` of both on test samples at the steps that were taken."""

    imported: Imported
    n_steps: int
    accuracy: Mapping[int, float]
    ann_accuracy: float
    test_accuracy: float
    ann_test_accuracy: float
    payload_bits: int

    @property
    def sentences(self) -> tuple[str, ...]:
        steps = ", ".join(f"{t}: {found:.2%}" for t, found in self.accuracy.items())
        return (
            f"ANN {self.ann_accuracy:.2%} on validation samples; spiking, by steps: {steps}.",
            f"{self.n_steps} steps: {self.test_accuracy:.2%} on test samples (ANN"
            f" {self.ann_test_accuracy:.2%}).",
        )

    def as_json(self) -> dict[str, Any]:
        told = {key: value for key, value in asdict(self).items() if key != "imported"}
        return {**self.imported.as_json(), **told, "accuracy": {str(t): a for t, a in self.accuracy.items()}}


@dataclass(frozen=True)
class _Sets:
    """Raw samples that thresholds are set on, that steps are chosen on, and that tell the result."""

    calibration: NDArray[Any]
    validation: TestSamples
    test: TestSamples


def import_ann(
    path: str | Path,
    output: str | Path,
    data: str,
    *,
    n_steps: int | None = None,
    scale: float | None = None,
    payload_bits: int = 1,
    bits: int = 8,
    data_dir: Path | None = None,
) -> AnnImport:
    """Reads a chain of weights, ReLU and pools, and puts IF neurons in the place of each ReLU.

    ``data``: a data set's name, or an .npz with raw integers x and labels y (thirds of it calibrate, choose
    and tell). ``scale``: real value of one of its units as the ANN takes it; None: 1 / the largest one.
    ``n_steps``: None takes the fewest of 1 to 128 that come within half a point of the ANN.
    ``payload_bits``: of a spike, 1 to 4. Raises FormatError, UnsupportedError, DataError, ConfigError.
    """
    from exporter.sources.ann_balance import balanced
    from exporter.sources.onnx_ann import read_ann

    if not 1 <= payload_bits <= 4:
        raise ConfigError(f"import --payload-bits: found {payload_bits}, expected 1 to 4")
    ann = read_ann(path)
    sets = _sets(RunDirectory(output), data, data_dir)
    spec = _spec(ann, sets, scale)
    graph = balanced(ann, sets.calibration, spec, payload_bits=payload_bits)
    tried = STEPS if n_steps is None else (n_steps,)
    accuracy = _accuracies(_program(graph, max(tried), bits), sets.validation, tried)
    ann_accuracy = _ann_accuracy(ann, sets.validation, spec.scale)
    chosen = _chosen(accuracy, ann_accuracy)
    final = _stepped(graph, chosen)
    return _finish(
        AnnImport(
            import_graph(final, output, bits=bits, x=sets.validation.x[:64], where=data),
            chosen,
            accuracy,
            ann_accuracy,
            _accuracies(_program(graph, chosen, bits), sets.test, (chosen,))[chosen],
            _ann_accuracy(ann, sets.test, spec.scale),
            payload_bits,
        )
    )


def _finish(found: AnnImport) -> AnnImport:
    run = RunDirectory(found.imported.output)
    write_json(run.imported, {**read_json(run.imported), **found.as_json()})
    return found


def _sets(run: RunDirectory, data: str, data_dir: Path | None) -> _Sets:
    if data.endswith(".npz"):
        every = samples_of_test(run, data)
        third = len(every) // 3
        if third < 1:
            raise DataError(f"data {data}: found {len(every)} samples, expected at least 3")
        parts = [TestSamples(every.x[k * third :][:third], every.y[k * third :][:third]) for k in range(3)]
        return _Sets(parts[0].x, parts[1], parts[2])
    from trainer import datasets

    splits = datasets.load(data, data_dir, {})
    validation = TestSamples(splits.validation.x[:MOST_VALIDATION], splits.validation.y[:MOST_VALIDATION])
    return _Sets(splits.train.x[:CALIBRATION], validation, TestSamples(splits.test.x, splits.test.y))


def _spec(ann: Ann, sets: _Sets, scale: float | None) -> InputSpec:
    x = sets.calibration
    if int(np.prod(x.shape[1:])) != int(np.prod(ann.shape)):
        raise DataError(f"data: found samples of shape {x.shape[1:]}, expected {ann.shape}, the ANN's")
    low = min(int(part.min()) for part in (x, sets.validation.x, sets.test.x))
    top = max(*(int(part.max()) for part in (x, sets.validation.x, sets.test.x)), -low, 1)
    if scale is not None and not 0 < scale < float("inf"):
        raise ConfigError(f"import --scale: found {scale}, expected a number above 0")
    bits = max(top.bit_length(), 1)
    if bits > 16:
        raise DataError(f"data: found values up to {top}, expected at most 16 bits")
    real = 1.0 / top if scale is None else scale
    return InputSpec(ann.shape, Coding.DIRECT, 1, bits=bits, scale=real, signed=low < 0, constant=True)


def _stepped(graph: Any, n_steps: int) -> Any:
    first = graph.nodes[0]
    return replace(graph, nodes=(replace(first, spec=replace(first.spec, n_steps=n_steps)), *graph.nodes[1:]))


def _program(graph: Any, n_steps: int, bits: int) -> Program:
    from exporter.lower import lower
    from exporter.passes import drop_dead, simplify
    from exporter.quantize import QuantizeOptions, quantize

    return lower(drop_dead(quantize(simplify(_stepped(graph, n_steps)), QuantizeOptions(bits=bits))))


def _accuracies(program: Program, samples: TestSamples, steps: tuple[int, ...]) -> dict[int, float]:
    """Of the integer network stopped after each number of steps."""
    from runtime.coding import encode_input
    from runtime.engine import Engine

    engine, coded = Engine(program), encode_input(samples.x, program.input)
    found = {t: engine.run(np.ascontiguousarray(coded[:t])).predictions for t in steps}
    return {t: float(np.mean(one == np.asarray(samples.y))) for t, one in found.items()}


def _ann_accuracy(ann: Ann, samples: TestSamples, scale: float) -> float:
    from exporter.sources.ann_balance import predictions

    x = samples.x.reshape(len(samples), *ann.shape).astype(np.float64) * scale
    return float(np.mean(predictions(ann, x) == np.asarray(samples.y)))


def _chosen(accuracy: Mapping[int, float], aim: float) -> int:
    """The fewest steps that are close enough, else the most accurate."""
    close = [t for t, found in accuracy.items() if found >= aim - WITHIN]
    return min(close) if close else max(accuracy, key=lambda t: accuracy[t])

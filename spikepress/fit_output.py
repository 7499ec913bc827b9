"""Writes the model that ``fit`` chose as a run directory of its own, for run, verify and report."""

from __future__ import annotations

import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from runtime import container
from runtime.coding import encode_input
from runtime.engine import Engine
from runtime.errors import ModelError
from runtime.program import Program
from spikepress.card import weight_sparsity
from spikepress.fit_source import Trained, sha256
from spikepress.fit_verdict import Model
from spikepress.lowering import write_targets
from spikepress.rundir import QUANTIZED_STAGES, RunDirectory, read_json, write_json
from spikepress.settings import start_run
from spikepress.stage import Outcome
from spikepress.workshop import Workshop, layouts_of
from trainer import checkpoint
from trainer.datasets import Samples

STAGE = QUANTIZED_STAGES[0]


def write_model(model: Model, given: Trained, work: Workshop, where: Path) -> float:
    """Writes ``model`` to ``where``; returns its accuracy on test samples, which nothing was chosen by.

    Raises ModelError when the file written does not need what the model was chosen for.
    """
    out = RunDirectory(where)
    start_run(out, given.settings, given.run.config.read_text(encoding="utf-8"))
    accuracy = _copied(model, given, out) if model.recipe is None else _made(model, given, work, out)
    written = layouts_of(container.read(out.program))
    if [layout.size for layout in written] != [layout.size for layout in model.layouts]:
        raise ModelError(
            f"{out.program}: found other sizes than the model had when it was chosen, expected the same;"
            f" remove {given.source.folder} and fit again"
        )
    return accuracy


def _made(model: Model, given: Trained, work: Workshop, out: RunDirectory) -> float:
    began = time.perf_counter()
    assert model.recipe is not None
    net, program = work.net(model.recipe), work.program(model.recipe)
    accuracy = _test_accuracy(program, given.data.test)
    checkpoint.save(out.checkpoint(STAGE), net)
    seconds, samples = time.perf_counter() - began, len(given.data.test)
    outcome = Outcome(STAGE, accuracy, model.accuracy, weight_sparsity(program), seconds, samples, {})
    before = read_json(given.run.stages) if given.run.stages.exists() else {}
    stages = {name: before[name] for name in (given.stage,) if name in before}
    write_json(out.stages, {**stages, STAGE: outcome.as_json()})
    write_targets(out, ("spk", "onnx") if find_spec("onnx") else ("spk",), out)
    return accuracy


def _copied(model: Model, given: Trained, out: RunDirectory) -> float:
    """The model that the run has already, with all that was written beside it."""
    run = given.run
    files = [
        run.stages,
        run.program,
        run.onnx,
        run.step_onnx,
        run.float_onnx,
        run.traced_onnx,
        run.graph,
        run.whole_graph,
        run.float_graph,
    ]
    for stage in QUANTIZED_STAGES:
        files += [run.checkpoint(stage), run.checkpoint(stage).with_suffix(".json")]
    for file in files:
        if file.exists():
            shutil.copyfile(file, out.path / file.name)
    assert sha256(out.program) == model.key
    return _test_accuracy(container.read(out.program), given.data.test)


def _test_accuracy(program: Program, test: Samples) -> float:
    labels = np.asarray(test.y)
    predictions = Engine(program).run(encode_input(test.x, program.input)).predictions
    return float(np.mean(predictions == (labels if labels.ndim == 1 else labels[:, -1])))

"""A network of another tool as a run directory: graphs, ``.spk`` and ONNX, with what the integers changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporter.drift import Drift
from runtime.errors import ConfigError
from runtime.spec import Compare, Readout, Reset, ResetTiming, SynapticOrder
from spikepress.entry import called, is_function
from spikepress.run_lock import held
from spikepress.rundir import STAGES, RunDirectory, write_json
from spikepress.samples import random_samples, samples_of_test

if TYPE_CHECKING:
    from exporter.graph import Graph
    from exporter.shift_leaks import LeakChange
    from exporter.sources.nir_neurons import Conventions

FAR = 0.05
"""Differing neuron-steps per spike of the source, of one layer: beyond it a fine-tuning is offered."""


@dataclass(frozen=True)
class NirWords:
    """What a NIR file leaves open, in words; see ``docs/interop.md``."""

    dt: float = 1e-4
    reset: str = Reset.VALUE.value
    compare: str = Compare.GREATER.value
    reset_timing: str = ResetTiming.SAME_STEP.value
    synaptic_order: str = SynapticOrder.NEW.value
    integration: str = "euler"
    payload_bits: int = 1

    def conventions(self) -> Conventions:
        from exporter.sources.nir_neurons import Conventions, Integration

        return Conventions(
            self.dt,
            _member("--reset", self.reset, Reset),
            _member("--compare", self.compare, Compare),
            _member("--reset-timing", self.reset_timing, ResetTiming),
            _member("--synaptic-order", self.synaptic_order, SynapticOrder),
            _member("--integration", self.integration, Integration),
            self.payload_bits,
        )


def _member(option: str, word: str, kind: Any) -> Any:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise ConfigError(f"{option}: found {word!r}, expected one of {known}") from None


@dataclass(frozen=True)
class Imported:
    """A network that was imported. ``drift``: its integers against the file's real numbers, on ``samples``
    samples of ``measured_on``."""

    output: Path
    leaks: tuple[LeakChange, ...]
    drift: Drift
    measured_on: str
    files: Mapping[str, Path]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence a leak that moved, one a layer, one for the predictions."""
        leaks = [one.sentence for one in self.leaks]
        layers = [
            f"{layer.layer}: {layer.differing:,} of {layer.neuron_steps:,} neuron-steps differ in integers."
            for layer in self.drift.layers
        ]
        changed = f"{self.drift.differing_predictions} of {self.drift.samples} predictions differ"
        return (*leaks, *layers, f"{changed} on {self.measured_on}.", *self.offer)

    @property
    def offer(self) -> tuple[str, ...]:
        """A sentence where a layer strays far."""
        worst = max(self.drift.layers, key=lambda layer: layer.ratio)
        if worst.ratio <= FAR:
            return ()
        return (
            f"{worst.layer}: {worst.ratio:.1%} of its spikes differ, above {FAR:.0%}: imported --trainable,"
            " a few epochs of prune without --sparsity fine-tune it.",
        )

    def as_json(self) -> dict[str, object]:
        leaks = [{**asdict(one), "leak": list(one.leak.shifts), "beta": one.leak.beta} for one in self.leaks]
        return {
            "output": str(self.output),
            "leaks": leaks,
            "drift": asdict(self.drift),
            "measured_on": self.measured_on,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def import_model(
    path: str | Path,
    output: str | Path,
    *,
    words: NirWords = NirWords(),
    n_steps: int = 100,
    readout: str | None = None,
    bits: int = 8,
    data: str | None = None,
    samples: int = 64,
) -> Imported:
    """Reads a NIR file, brings leaks to the grid of shifts and weights to ``bits``, writes a run directory.

    ``data``: an .npz with x and y to measure drift on; random events at one input in ten without it.
    Raises FormatError for a damaged file, ModelError or UnsupportedError naming the node.
    """
    found = graph_of(str(path), words=words, n_steps=n_steps, readout=readout, file=True)
    return import_graph(found, output, bits=bits, data=data, samples=samples)


def import_modules(
    place: str,
    output: str | Path,
    *,
    shape: tuple[int, ...] | None = None,
    n_steps: int = 100,
    readout: str | None = None,
    bits: int = 8,
    data: str | None = None,
    samples: int = 64,
) -> Imported:
    """Calls ``module:function`` for a network of snnTorch or SpikingJelly modules; then as ``import_model``.

    ``shape`` of one step of its input; None: that of a first linear layer. Raises ConfigError for a function
    that cannot be called, ModelError or UnsupportedError naming the module.
    """
    found = graph_of(place, shape=shape, n_steps=n_steps, readout=readout, file=False)
    return import_graph(found, output, bits=bits, data=data, samples=samples)


def graph_of(
    source: str,
    *,
    words: NirWords = NirWords(),
    shape: tuple[int, ...] | None = None,
    n_steps: int = 100,
    readout: str | None = None,
    file: bool | None = None,
) -> Graph:
    """Float graph of a NIR file or of ``module:function``; None of ``file`` decides by what stands there."""
    if not is_function(source) if file is None else file:
        from exporter.sources.nir import load_nir

        return load_nir(source, words.conventions(), n_steps=n_steps, readout=_readout(readout))
    from exporter.sources.modules import graph_from_modules

    return graph_from_modules(called(source), shape=shape, n_steps=n_steps, readout=_readout(readout))


def _readout(word: str | None) -> Readout | None:
    return None if word is None else _member("--readout", word, Readout)


def import_graph(
    found: Graph,
    output: str | Path,
    *,
    bits: int = 8,
    data: str | None = None,
    samples: int = 64,
    x: NDArray[np.integer] | None = None,
    where: str = "random events",
) -> Imported:
    """A run directory of a float graph; see ``import_model``. ``x``: raw samples at hand, from ``where``."""
    from exporter.drift import drift
    from exporter.passes import bias_unit, drop_dead, simplify
    from exporter.quantize import QuantizeOptions, quantize
    from exporter.shift_leaks import shift_leaks
    from exporter.wiring import input_of
    from runtime.coding import encode_input
    from spikepress.lowering import Graphs, write_graphs

    found = bias_unit(simplify(found))
    real, leaks = shift_leaks(found)
    whole = quantize(real, QuantizeOptions(bits=bits))
    graphs = Graphs(real, whole, drop_dead(whole))
    run = RunDirectory(output)
    if any(run.checkpoint(stage).exists() for stage in STAGES):
        raise ConfigError(f"import --output: found a trained network in {run.path}, expected another folder")
    spec = input_of(found).spec
    if data is not None:
        x, where = samples_of_test(run, data).x[:samples], data
    elif x is None:
        x = random_samples(spec, samples)
    strayed = drift(found, graphs.final, encode_input(x, spec))
    with held(run):
        files = write_graphs(graphs, ("spk", "onnx"), run)
        result = Imported(run.path, leaks, strayed, f"{len(x)} samples of {where}", files)
        write_json(run.imported, result.as_json())
    return result

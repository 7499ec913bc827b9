"""A network's figures by the definitions of NeuroBench, under the names that its package gives them.

Yik et al. 2025 (neurobench 2.3). They are of a dense float32 twin of the network that runs: pools are
sums, weights without a synapse are zeros that are held and, in ``Dense``, counted; input that is held over
the steps is counted at every step; a layer's step counts as multiplications as soon as one value of the
batch is another than -1, 0 or 1. Scales on skips are no layer there. What is true of the network as we
store and run it stands beside them under ``spikepress``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelError
from runtime.trace import Trace
from spikepress.rundir import write_json

if TYPE_CHECKING:
    from exporter.graph import Conv, Graph, Linear, Synapse
    from spikepress.measuring import Measured

BATCH = 100
"""Samples that are looked at together; NeuroBench calls a whole batch analog where one value of it is."""
FLOAT_BYTES = 4
Figures = dict[str, Any]


def write_neurobench(measured: Measured, path: Path) -> None:
    """Writes the figures of a measured run to ``path``; ModelError where the run has no graphs."""
    from exporter import graph_file

    if not measured.run.graph.exists():
        raise ModelError(f"{measured.run.path}: found no graphs, expected them from `spikepress export`")
    figures = neurobench(graph_file.load(measured.run.graph), measured.coded)
    accuracy = {"ClassificationAccuracy": measured.accuracy}
    write_json(path, {**accuracy, **figures, "spikepress": _ours(measured)})


def neurobench(graph: Graph, coded: NDArray[np.integer], batch: int = BATCH) -> Figures:
    """All figures of an integer graph on coded input (steps, samples, *shape), per sample, keys as in the
    results of ``neurobench.benchmarks.Benchmark``."""
    from exporter.reference import run

    work, samples = _Work(), coded.shape[1]
    for begin in range(0, samples, batch):
        part = coded[:, begin : begin + batch]
        work.add(run(graph, part, work.see), part.shape[1])
    return {**_held(graph), **work.figures()}


@dataclass
class _Work:
    """What was counted so far, over all batches."""

    samples: int = 0
    macs: int = 0
    acs: int = 0
    dense: int = 0
    updates: int = 0
    sparsity: float = 0.0
    """Of activations: a sum over samples of their batch's share."""
    _full: dict[str, int] = field(default_factory=dict)

    def see(self, synapse: Synapse, x: NDArray[Any]) -> None:
        """Counts one step of a layer for a batch ``x`` (samples, *shape)."""
        from exporter.graph import Scale

        if isinstance(synapse, Scale):
            return
        done = _operations(synapse, synapse.weight != 0, x != 0)
        binary = np.isin(x, (-1, 0, 1)).all()
        self.acs += done if binary else 0
        self.macs += 0 if binary else done
        if synapse.name not in self._full:
            one = np.ones_like(x[:1])
            self._full[synapse.name] = _operations(synapse, np.ones_like(synapse.weight), one)
        self.dense += self._full[synapse.name] * len(x)

    def add(self, trace: Trace, samples: int) -> None:
        """Counts what a batch's neurons did."""
        fired = sum(int(np.count_nonzero(s)) for s in trace.spikes.values())
        values = sum(s.size for s in trace.spikes.values())
        self.sparsity += samples * (1 - fired / values)
        self.updates += sum(_updates(v) for v in trace.membranes.values())
        self.samples += samples

    def figures(self) -> Figures:
        return {
            "ActivationSparsity": self.sparsity / self.samples,
            "SynapticOperations": {
                "Effective_MACs": self.macs / self.samples,
                "Effective_ACs": self.acs / self.samples,
                "Dense": self.dense / self.samples,
            },
            "MembraneUpdates": self.updates / self.samples,
        }


def _operations(layer: Linear | Conv, alive: NDArray[Any], x: NDArray[Any]) -> int:
    from exporter.reference_ops import transfer

    return int(transfer(layer, alive.astype(np.float64), x.astype(np.float64)).sum())


def _updates(membranes: NDArray[np.int32]) -> int:
    """Every membrane of the first step, then those that changed, of (steps, samples, neurons)."""
    return int(membranes[0].size) + int(np.count_nonzero(np.diff(membranes, axis=0)))


def _held(graph: Graph) -> Figures:
    weights = list(_weights(graph))
    count, zeros = sum(w.size for w in weights), sum(int(np.count_nonzero(w == 0)) for w in weights)
    parameters = count + sum(_biases(graph))
    return {
        "ParameterCount": parameters,
        "Footprint": parameters * FLOAT_BYTES,
        "ConnectionSparsity": round(zeros / max(count, 1), 4),
    }


def _weights(graph: Graph) -> Iterator[NDArray[Any]]:
    from exporter.graph import Scale
    from exporter.wiring import synapses

    return (one.weight for one in synapses(graph) if not isinstance(one, Scale))


def _biases(graph: Graph) -> Iterator[int]:
    """Biases that neurons hold, by population; none where all are zero."""
    from exporter.wiring import neurons
    from runtime.spec import IntegerNeuron

    for neuron in neurons(graph):
        if isinstance(neuron.model, IntegerNeuron) and any(neuron.model.bias_q):
            yield len(neuron.model.bias_q)


def _ours(measured: Measured) -> Mapping[str, float]:
    """The network as it is stored and runs; operations per sample."""
    counts, samples = measured.counts, measured.samples
    return {
        "flash_bytes": measured.memory.flash_bytes,
        "ram_bytes": measured.memory.ram_bytes,
        "effective_acs": counts.effective_acs / samples,
        "input_adds": counts.input_adds / samples,
        "executed_adds": counts.executed_adds / samples,
        "dense_synops": counts.dense_synops / samples,
        "neuron_updates": sum(p.updates for p in counts.populations.values()) / samples,
        "samples": samples,
    }

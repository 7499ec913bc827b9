"""The exporter in three plain functions: a NIR file in, spikes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph
from exporter.wiring import input_of
from runtime.errors import ConfigError, DataError
from runtime.spec import Compare, IntegerNeuron, Readout, Reset, ResetTiming, SynapticOrder

if TYPE_CHECKING:
    from enum import Enum


def load_nir(  # noqa: PLR0913 - each is a convention that a file leaves open
    path: str | Path,
    *,
    dt: float = 1e-4,
    reset: str = "value",
    compare: str = ">",
    reset_timing: str = "same-step",
    synaptic_order: str = "new",
    integration: str = "euler",
    payload_bits: int = 1,
    n_steps: int = 100,
    readout: str | None = None,
) -> Graph:
    """Float graph of a NIR file. What the file leaves open has NIR's own meaning by default.

    ``dt``: one step in the unit of the file's time constants. ``reset``: value, subtract or none.
    ``compare``: > or >=. ``reset_timing``: same-step or next-step. ``synaptic_order``: new or old.
    ``integration``: euler, exact or impulse. ``payload_bits``: above 1, several spikes a step.
    ``readout``: by the output where None. Raises FormatError, UnsupportedError or ModelError naming what
    cannot be, ConfigError for an unknown word.
    """
    from exporter.sources.nir import load_nir as load
    from exporter.sources.nir_neurons import Conventions, Integration

    how = Conventions(
        dt,
        _word("reset", reset, Reset),
        _word("compare", compare, Compare),
        _word("reset_timing", reset_timing, ResetTiming),
        _word("synaptic_order", synaptic_order, SynapticOrder),
        _word("integration", integration, Integration),
        payload_bits,
    )
    kind = None if readout is None else _word("readout", readout, Readout)
    return load(path, how, n_steps=n_steps, readout=kind)


def _word(name: str, word: str, kind: type[Enum]) -> Any:
    known = {one.value: one for one in kind}
    if word not in known:
        raise ConfigError(f"load_nir {name}: found {word!r}, expected one of {', '.join(map(str, known))}")
    return known[word]


def interpret(graph: Graph, spikes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Spikes (T, neurons) of the output for one sample ``spikes`` (T, *shape of the input).

    (T, samples, neurons) for several, (T, samples, *shape). By the reference, in real units or in integers as
    the graph is. DataError for another shape.
    """
    from exporter.reference import run, run_float

    shape = input_of(graph).spec.shape
    given = np.asarray(spikes)
    if given.ndim not in (len(shape) + 1, len(shape) + 2) or given.shape[given.ndim - len(shape) :] != shape:
        raise DataError(f"interpret: found {given.shape}, expected (T, *{shape}) or (T, n, *{shape})")
    one = given.ndim == len(shape) + 1
    coded = given[:, None] if one else given
    output = next(node for node in graph.nodes if node.name == graph.output)
    whole = isinstance(getattr(output, "model", None), IntegerNeuron)
    found = (run(graph, coded) if whole else run_float(graph, coded)).spikes[graph.output]
    return found[:, 0] if one else found

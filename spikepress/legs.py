"""The legs of Contract 3: the same network, run in ways that share no neuron or synapse code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter import graph_file
from exporter.graph import Graph
from exporter.wiring import neurons, synapses
from runtime.errors import ConfigError, ModelError
from runtime.program import Program
from runtime.spec import IntegerNeuron, Readout
from runtime.trace import Trace
from spikepress import onnx_session
from spikepress.rundir import RunDirectory

Coded = NDArray[np.int32]


class Leg(Enum):
    TORCH = "torch"
    RUNTIME = "runtime"
    ONNX = "onnx"
    HOST = "host"
    """Generated C on this computer, stopped at undefined behavior."""
    CORTEX_M0 = "cortex-m0"
    CORTEX_M3 = "cortex-m3"
    CORTEX_M4 = "cortex-m4"
    CORTEX_M33 = "cortex-m33"
    RV32I = "rv32i"
    RV32EC = "rv32ec"
    AVR = "avr"
    """Generated C on an emulated core."""
    RTL = "rtl"
    """Generated Verilog, simulated clock by clock."""


QUICK = (Leg.TORCH, Leg.RUNTIME, Leg.ONNX)
"""The legs that need no compiler."""


@dataclass(frozen=True)
class Artifacts:
    """What the legs of one run read; each leg reads its own file, afresh."""

    run: RunDirectory

    @cached_property
    def graph(self) -> Graph:
        """The integer graph that the reference interprets."""
        return graph_file.load(self.run.require(self.run.graph, "spikepress export"))

    @cached_property
    def whole_graph(self) -> Graph:
        """The same before any neuron was dropped: what the module that trained still has."""
        return graph_file.load(self.run.require(self.run.whole_graph, "spikepress export"))


def leg_of(name: str) -> Leg:
    try:
        return Leg(name)
    except ValueError:
        known = ", ".join(leg.value for leg in Leg)
        raise ConfigError(f"verify --legs: found {name!r}, expected some of {known}") from None


def reference_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """The reference interpreter on the integer graph; its trace defines what is right."""
    from exporter import reference

    return reference.run(artifacts.graph, coded)


def runtime_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """The accumulate-only engine on the ``.spk`` file."""
    from runtime.engine import Engine

    trace = Engine(_program(artifacts)).run(coded, trace=True).trace
    assert trace is not None
    return trace


def torch_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """The module that trained, in evaluation mode, on whole numbers; dropped neurons are left out."""
    from trainer import checkpoint, integer

    net = checkpoint.load(artifacts.run.quantized_checkpoint())
    integer.attach(net, *integer_parameters(artifacts.whole_graph))
    found_spikes, found_membranes = integer.run(net, coded)
    kept = {node.name: node.kept for node in neurons(artifacts.graph)}
    spikes = {name: _kept(found_spikes[name].numpy(), index) for name, index in kept.items()}
    membranes = {name: _kept(found_membranes[name].numpy(), index) for name, index in kept.items()}
    return trace_of(artifacts.graph, spikes, membranes)


def host_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """The ``.spk`` file as C on this computer."""
    from spikepress.tools.host import run_program

    return run_program(_program(artifacts), coded)


def core_leg(leg: Leg, artifacts: Artifacts, coded: Coded) -> Trace:
    """The ``.spk`` file as C on an emulated core."""
    from exporter.targets.c_cores import CORES
    from spikepress.tools.cross import run_on_core

    return run_on_core(_program(artifacts), CORES[leg.value], coded)


def rtl_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """The ``.spk`` file as an FPGA core, simulated."""
    from spikepress.tools.rtl import run_program

    return run_program(_program(artifacts), coded)


def _program(artifacts: Artifacts) -> Program:
    from runtime import container

    return container.read(artifacts.run.require(artifacts.run.program, "spikepress export"))


def _kept(values: NDArray[np.int32], index: NDArray[np.int64] | None) -> NDArray[np.int32]:
    return values if index is None else np.ascontiguousarray(values[:, :, index])


def onnx_leg(artifacts: Artifacts, coded: Coded) -> Trace:
    """ONNX Runtime: spikes and membranes of the traced twin, scores and predictions of the model itself."""
    run, names = artifacts.run, [node.name for node in neurons(artifacts.graph)]
    traced = onnx_session.opened(run.require(run.traced_onnx, "spikepress export"))
    model = onnx_session.opened(run.require(run.onnx, "spikepress export"))
    values = onnx_session.outputs(traced, coded)
    wanted = [f"{name}.{kind}" for name in names for kind in ("spikes", "membranes")]
    missing = [name for name in wanted if name not in values]
    if missing:
        raise ModelError(f"{run.traced_onnx.name}: found no output {missing[0]!r}, expected one per layer")
    shipped = onnx_session.outputs(model, coded)
    return Trace(
        {name: values[f"{name}.spikes"] for name in names},
        {name: values[f"{name}.membranes"] for name in names},
        shipped["scores"],
        shipped["predictions"],
    )


LEGS: Mapping[Leg, Callable[[Artifacts, Coded], Trace]] = {
    Leg.TORCH: torch_leg,
    Leg.RUNTIME: runtime_leg,
    Leg.ONNX: onnx_leg,
    Leg.HOST: host_leg,
    Leg.RTL: rtl_leg,
    **{leg: partial(core_leg, leg) for leg in Leg if leg not in (*QUICK, Leg.HOST, Leg.RTL)},
}


def integer_parameters(graph: Graph) -> tuple[dict[str, IntegerNeuron], dict[str, int]]:
    """Integer neurons and shifts by name, as ``trainer.integer.attach`` wants them."""
    populations = {}
    for node in neurons(graph):
        if not isinstance(node.model, IntegerNeuron):
            raise ModelError(f"{node.name}: found a neuron in real units, expected an integer graph")
        populations[node.name] = node.model
    return populations, {node.name: node.shift for node in synapses(graph)}


def trace_of(graph: Graph, spikes: Mapping[str, Any], membranes: Mapping[str, Any]) -> Trace:
    """A leg's trace with scores by the readout rule, worked out here for legs that give none."""
    output = {"spikes": spikes[graph.output], "membranes": membranes[graph.output]}
    scores = {
        Readout.COUNT: lambda: output["spikes"].sum(axis=0, dtype=np.int64),
        Readout.MEMBRANE_LAST: lambda: output["membranes"][-1].astype(np.int64),
        Readout.MEMBRANE_MAX: lambda: output["membranes"].max(axis=0).astype(np.int64),
        Readout.MEMBRANE_SUM: lambda: output["membranes"].sum(axis=0, dtype=np.int64),
    }[graph.readout]()
    return Trace(spikes, membranes, scores, scores.argmax(axis=1).astype(np.int64))

"""NIR graphs run straight from their equations, by Euler steps: shares no code with ``exporter``'s reader.

Nodes run in the order in which the graph lists them; an edge from a later node carries what that node gave in
the step before. Every value is (samples, *shape).
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
import torch.nn.functional as F

from exporter.sources.nir_neurons import Conventions
from runtime.spec import Compare, Reset, ResetTiming, SynapticOrder

FIRES = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
SILENT = (nir.I, nir.LI, nir.CubaLI)


def spikes_of(graph: nir.NIRGraph, frames: np.ndarray, how: Conventions) -> dict[str, np.ndarray]:
    """Spikes (steps, samples, neurons) of every neuron, by its name with those of the graphs around it."""
    running, history = Running(graph, how), []
    for frame in frames:
        running.step(frame.astype(np.float64))
        history.append(running.fired())
    return {name: np.stack([one[name].reshape(len(one[name]), -1) for one in history]) for name in history[0]}


class Running:
    """One graph and what it keeps between steps."""

    def __init__(self, graph: nir.NIRGraph, how: Conventions) -> None:
        self.graph, self.how = graph, how
        self.values: dict[str, np.ndarray] = {}
        self.state: dict[str, Any] = {}
        self.inner = {n: Running(g, how) for n, g in graph.nodes.items() if isinstance(g, nir.NIRGraph)}

    def step(self, frame: np.ndarray) -> np.ndarray:
        before, self.values = self.values, {}
        out = frame
        for name, node in self.graph.nodes.items():
            if isinstance(node, nir.Input):
                self.values[name] = frame
                continue
            seen = [
                self.values[a] if a in self.values else before.get(a, 0.0)
                for a, b in self.graph.edges
                if b == name
            ]
            x = np.asarray(sum(seen[1:], seen[0]))
            self.values[name] = self.inner[name].step(x) if name in self.inner else self.one(name, node, x)
            if isinstance(node, nir.Output):
                out = self.values[name]
        return out

    def fired(self) -> dict[str, np.ndarray]:
        found = {
            n: self.values[n].astype(np.int32) for n, x in self.graph.nodes.items() if isinstance(x, FIRES)
        }
        found |= {n: self.values[n] * 0 for n, x in self.graph.nodes.items() if isinstance(x, SILENT)}
        for name, running in self.inner.items():
            found |= {f"{name}.{key}": value for key, value in running.fired().items()}
        return found

    def one(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:  # noqa: PLR0911 - a case a node
        match node:
            case nir.Output():
                return x
            case nir.Linear():
                return x @ node.weight.T
            case nir.Affine():
                return x @ node.weight.T + node.bias
            case nir.Scale():
                return x * node.scale
            case nir.Flatten():
                return x.reshape(len(x), -1)
            case nir.Delay():
                waiting = self.state.setdefault(name, [])
                waiting.append(x)
                steps = round(float(node.delay.reshape(-1)[0]) / self.how.dt)
                return waiting.pop(0) if len(waiting) > steps else np.zeros_like(x)
            case nir.Conv1d() | nir.Conv2d():
                return convolved(node, x)
            case nir.SumPool2d() | nir.AvgPool2d():
                kernel = tuple(int(k) for k in node.kernel_size)
                mean = F.avg_pool2d(torch.tensor(x), kernel, tuple(int(s) for s in node.stride)).numpy()
                return mean if isinstance(node, nir.AvgPool2d) else mean * np.prod(kernel)
        return self.neuron(name, node, x)

    def neuron(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        how, dt = self.how, self.how.dt
        if isinstance(node, nir.Threshold):
            return above(x, node.threshold, how).astype(np.float64)
        v, i, last = self.state.get(name, (np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)))
        if isinstance(node, nir.CubaLI | nir.CubaLIF):
            old = i
            i = i + dt / node.tau_syn * (node.w_in * x - i)
            x = i if how.synaptic_order is SynapticOrder.NEW else old
        # What leaks is the membrane; the drive comes after a late reset, as snnTorch has it.
        if isinstance(node, nir.IF | nir.I):
            drive = dt * node.r * x
        else:
            tau = node.tau if isinstance(node, nir.LIF | nir.LI) else node.tau_mem
            v, drive = v + dt / tau * (node.v_leak - v), dt / tau * node.r * x
        late = how.reset_timing is ResetTiming.NEXT_STEP
        fires = isinstance(node, FIRES)
        if fires and late:
            v = self.reset(node, v, last)
        v = v + drive
        spikes = above(v, node.v_threshold, how).astype(np.float64) if fires else np.zeros_like(v)
        if fires and not late:
            v = self.reset(node, v, spikes)
        self.state[name] = (v, i, spikes)
        return spikes

    def reset(self, node: Any, v: np.ndarray, spikes: np.ndarray) -> np.ndarray:
        if self.how.reset is Reset.NONE:
            return v
        if self.how.reset is Reset.SUBTRACT:
            return v - spikes * node.v_threshold
        return np.where(spikes > 0, node.v_reset, v)


def above(v: np.ndarray, threshold: np.ndarray, how: Conventions) -> np.ndarray:
    return v >= threshold if how.compare is Compare.GREATER_EQUAL else v > threshold


def convolved(node: Any, x: np.ndarray) -> np.ndarray:
    run = F.conv1d if isinstance(node, nir.Conv1d) else F.conv2d

    def plain(value: Any) -> Any:
        if isinstance(value, str | int):
            return value
        return tuple(int(side) for side in np.asarray(value).reshape(-1))

    weight, bias = torch.tensor(node.weight), torch.tensor(node.bias)
    options = {"stride": plain(node.stride), "padding": plain(node.padding), "dilation": plain(node.dilation)}
    return run(torch.tensor(x), weight, bias, groups=int(node.groups), **options).numpy()

"""Random NIR graphs of every node that can be read, with what a reader must be told of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import nir
import numpy as np

from exporter.sources.nir_neurons import Conventions
from runtime.spec import Compare, Reset, ResetTiming, SynapticOrder

FLAT_KINDS = ("LIF", "IF", "CubaLIF", "Threshold")
LEAKS = (0.5, 0.75, 0.875, 0.9375, 0.6875)
"""Factors that shifts can say, for the graphs that become integers."""


def conventions(rng: np.random.Generator, *, mixed: bool) -> Conventions:
    """``mixed``: also what current-based neurons cannot do in integers, a late reset to a value."""
    how = Conventions(
        dt=float(rng.choice([1e-4, 1e-3, 1.0])),
        reset=pick(rng, list(Reset)),
        compare=pick(rng, list(Compare)),
        reset_timing=pick(rng, list(ResetTiming)),
        synaptic_order=pick(rng, list(SynapticOrder)),
    )
    unsaid = how.reset is Reset.VALUE and how.reset_timing is ResetTiming.NEXT_STEP
    return replace(how, reset=Reset.SUBTRACT) if unsaid and not mixed else how


def pick(rng: np.random.Generator, among: Any) -> Any:
    return among[int(rng.integers(len(among)))]


@dataclass
class Drawing:
    """Nodes and edges so far; ``last`` gives spikes of shape ``shape``."""

    rng: np.random.Generator
    how: Conventions
    mixed: bool
    """Whether the graph may say what no integer neuron has: time constants that differ within a population or
    leave the grid of shifts, a late reset to another value than 0, a bias of current-based neurons."""
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: str = "input"
    shape: tuple[int, ...] = ()
    earlier: list[tuple[str, int]] = field(default_factory=list)
    """Flat spiking populations, for skips."""

    def put(self, name: str, node: Any, *sources: str) -> str:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def weights(self, *shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:]))
        return self.rng.normal(0.15, 1.2, shape) / np.sqrt(fan_in)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)


def random_nir(rng: np.random.Generator, *, mixed: bool = True) -> tuple[nir.NIRGraph, Conventions]:
    """A graph of 1 to 5 stages, and how it is to be read."""
    drawing = Drawing(rng, conventions(rng, mixed=mixed), mixed)
    drawing.shape = pick(rng, [(9,), (14,), (2, 10), (2, 7, 6), (1, 8, 8)])
    drawing.put("input", nir.Input(np.array(drawing.shape)))
    stages = int(rng.integers(0, 4))
    for depth in range(stages):
        STAGES[len(drawing.shape)](drawing, f"s{depth}")
    if len(drawing.shape) > 1:
        flatten(drawing, "flat")
    linear_stage(drawing, "last", output=True)
    drawing.put("output", nir.Output(np.array(drawing.shape)), drawing.last)
    return nir.NIRGraph(drawing.nodes, drawing.edges, type_check=False), drawing.how


def neuron(drawing: Drawing, shape: tuple[int, ...], *, output: bool = False) -> Any:
    """A population of any kind; parameters are scalars, one per channel, or one per neuron."""
    rng, dt = drawing.rng, drawing.how.dt
    kinds = FLAT_KINDS + (("LI", "CubaLI", "I") if output else ())
    kind = pick(rng, kinds)
    scalar = drawing.chance(0.15)

    def full(low: float, high: float, *, each: bool = False) -> np.ndarray:
        """One value, or one per channel; per neuron where ``each`` is allowed."""
        if scalar:
            return np.array(rng.uniform(low, high))
        sides = shape if each and drawing.chance(0.3) else (shape[0], *[1] * (len(shape) - 1))
        values = rng.uniform(low, high, sides if drawing.chance(0.6) else 1)
        return np.broadcast_to(values, shape).copy()

    def tau() -> np.ndarray:
        beta = full(0.3, 0.97) if drawing.mixed else np.full(() if scalar else shape, pick(rng, LEAKS))
        return dt / (1.0 - beta)

    limits = {"v_threshold": full(0.3, 1.2, each=True), "v_reset": full(-0.3, 0.2, each=True)}
    rest = full(-0.1, 0.2, each=True)
    if not drawing.mixed:
        late = drawing.how.reset_timing is ResetTiming.NEXT_STEP
        limits["v_reset"], rest = limits["v_reset"] * (not late), rest * (not output)
    if kind == "Threshold":
        return nir.Threshold(limits["v_threshold"])
    if kind in ("IF", "I"):
        r = full(0.5, 2.0) / dt
        return nir.IF(r, **limits) if kind == "IF" else nir.I(r)
    if kind in ("LIF", "LI"):
        constants = {"tau": tau(), "r": full(1.0, 6.0), "v_leak": rest}
        return nir.LIF(**constants, **limits) if kind == "LIF" else nir.LI(**constants)
    constants = {
        "tau_syn": tau(),
        "tau_mem": tau(),
        "r": full(2.0, 6.0),
        "v_leak": rest,
        "w_in": full(0.5, 3.0),
    }
    return nir.CubaLIF(**constants, **limits) if kind == "CubaLIF" else nir.CubaLI(**constants)


def linear_stage(drawing: Drawing, name: str, *, output: bool = False) -> None:
    """Delay, scale, weights, scale, neuron; perhaps a loop, a skip, or all in a graph of its own."""
    rng = drawing.rng
    n_out = int(rng.integers(3, 9))
    if drawing.chance(0.3) and not output:
        return nested_stage(drawing, name, n_out)
    last = drawing.last
    if drawing.chance(0.2):
        delay = np.full(drawing.shape, int(rng.integers(1, 4)) * drawing.how.dt)
        last = drawing.put(f"{name}_delay", nir.Delay(delay), last)
    if drawing.chance(0.2):
        last = drawing.put(f"{name}_in", nir.Scale(rng.uniform(0.5, 1.5, drawing.shape)), last)
    before, weights = last, drawing.weights(n_out, drawing.shape[0])
    cell = neuron(drawing, (n_out,), output=output)
    biased = drawing.chance(0.5) and (drawing.mixed or not isinstance(cell, nir.CubaLI | nir.CubaLIF))
    map_ = nir.Affine(weights, rng.normal(0, 0.1, n_out)) if biased else nir.Linear(weights)
    last = drawing.put(f"{name}_w", map_, last)
    equal = [source for source, size in drawing.earlier if size == drawing.shape[0] and source != before]
    if equal and drawing.chance(0.3):
        drawing.edges.append((pick(rng, equal), f"{name}_w"))
        drawing.edges = list(dict.fromkeys(drawing.edges))
    if drawing.chance(0.2):
        last = drawing.put(f"{name}_out", nir.Scale(rng.uniform(0.5, 1.5, n_out)), last)
    entering = [last, *skips(drawing, name, n_out)]
    drawing.last = drawing.put(name, cell, *entering)
    drawing.shape = (n_out,)
    if not isinstance(drawing.nodes[name], nir.I | nir.LI | nir.CubaLI):
        drawing.earlier.append((name, n_out))
        if drawing.chance(0.3):
            drawing.put(f"{name}_rec", nir.Linear(drawing.weights(n_out, n_out)), name)
            drawing.edges.append((f"{name}_rec", name))


def skips(drawing: Drawing, name: str, n_out: int) -> list[str]:
    """An earlier population of the same size, as it is, scaled, or late; or none."""
    equal = [source for source, size in drawing.earlier if size == n_out]
    if not equal or drawing.chance(0.5):
        return []
    source, way = pick(drawing.rng, equal), drawing.rng.random()
    if way < 0.4:
        source = drawing.put(f"{name}_skip", nir.Scale(drawing.rng.uniform(0.2, 1.0, n_out)), source)
    elif way < 0.6:
        source = drawing.put(f"{name}_skip", nir.Delay(np.full(n_out, 2 * drawing.how.dt)), source)
    return [source]


def nested_stage(drawing: Drawing, name: str, n_out: int) -> None:
    inner = Drawing(drawing.rng, drawing.how, drawing.mixed, shape=drawing.shape)
    inner.put("input", nir.Input(np.array(drawing.shape)))
    inner.put("w", nir.Linear(inner.weights(n_out, drawing.shape[0])), "input")
    inner.put("cell", neuron(inner, (n_out,)), "w")
    if inner.chance(0.4):
        inner.put("rec", nir.Linear(inner.weights(n_out, n_out)), "cell")
        inner.edges.append(("rec", "cell"))
    inner.put("output", nir.Output(np.array([n_out])), "cell")
    drawing.put(name, nir.NIRGraph(inner.nodes, inner.edges, type_check=False), drawing.last)
    drawing.last, drawing.shape = name, (n_out,)
    drawing.earlier.append((name, n_out))


def conv_stage(drawing: Drawing, name: str) -> None:
    """A convolution in one or two dimensions and its neurons; perhaps a pool after them."""
    rng, (channels, *sides) = drawing.rng, drawing.shape
    if min(sides) < 3 or drawing.chance(0.15):
        return flatten(drawing, name)
    flat = len(sides) == 1
    groups = channels if drawing.chance(0.3) else 1
    n_out = groups * int(rng.integers(1, 4))
    kernel = [int(rng.integers(1, 4)) for _ in sides]
    stride, dilation = [int(rng.integers(1, 3)) for _ in sides], [1 for _ in sides]
    padding: Any = [int(rng.integers(0, 2)) for _ in sides]
    if drawing.chance(0.3):
        dilation = [2 if k * 2 - 1 <= side else 1 for k, side in zip(kernel, sides, strict=True)]
    if drawing.chance(0.2):
        kernel, stride, padding = [3 for _ in sides], [1 for _ in sides], "same"
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "same":
        shape = (n_out, *sides)
    else:
        if any(span > side for span, side in zip(spans, sides, strict=True)):
            return flatten(drawing, name)
        room = zip(sides, padding, spans, stride, strict=True)
        shape = (n_out, *((side + 2 * p - span) // s + 1 for side, p, span, s in room))
    cell = neuron(drawing, shape)
    biased = drawing.chance(0.5) and (drawing.mixed or not isinstance(cell, nir.CubaLIF))
    bias = rng.normal(0, 0.1, n_out) if biased else np.zeros(n_out)
    weight = drawing.weights(n_out, channels // groups, *kernel)
    if flat:
        given = (x if isinstance(x, str) else x[0] for x in (stride, padding, dilation))
        node: Any = nir.Conv1d(sides[0], weight, *given, groups, bias)
    else:
        given = (x if isinstance(x, str) else tuple(x) for x in (stride, padding, dilation))
        node = nir.Conv2d(tuple(sides), weight, *given, groups, bias)
    drawing.put(f"{name}_w", node, drawing.last)
    drawing.last = drawing.put(name, cell, f"{name}_w")
    drawing.shape = shape
    if not flat and min(shape[1:]) >= 2 and drawing.chance(0.5):
        pool = pick(rng, [nir.SumPool2d, nir.AvgPool2d])
        window = np.array([2, 2])
        drawing.last = drawing.put(f"{name}_pool", pool(window, window, np.array([0, 0])), drawing.last)
        drawing.shape = (shape[0], shape[1] // 2, shape[2] // 2)
        flatten(drawing, f"{name}_flat")


def flatten(drawing: Drawing, name: str) -> None:
    size = int(np.prod(drawing.shape))
    drawing.last = drawing.put(name, nir.Flatten({"input": np.array(drawing.shape)}, 0, -1), drawing.last)
    drawing.shape = (size,)


STAGES = {1: linear_stage, 2: conv_stage, 3: conv_stage}

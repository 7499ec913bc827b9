"""Networks that the runtime is timed on: W1 to W4, with seeded weights and thresholds set for a spike rate.

Weights are uniform in -7..7 under a uniform mask, or under one that keeps whole runs of 16 outputs. Every
layer's input has the wanted share of spikes: thresholds are bisected layer by layer on one input.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from runtime.encodings import encode
from runtime.program import (
    ConvSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Window,
)
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth

LEAK_SHIFT = 4
LARGEST = 7
POOL = Window((2, 2), (2, 2))
Spikes = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """``kernel`` 0 is fully connected; ``recurrent`` adds weights from its own spikes of the step before."""

    outputs: int
    kernel: int = 0
    pool: bool = False
    recurrent: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    shape: tuple[int, ...]
    n_steps: int
    layers: tuple[Layer, ...]


def _vgg16() -> tuple[Layer, ...]:
    plan = ((64, 0), (64, 1), (128, 0), (128, 1), (256, 0), (256, 0), (256, 1))
    plan += ((512, 0), (512, 0), (512, 1), (512, 0), (512, 0), (512, 1))  # type: ignore[assignment]
    return (*(Layer(outputs, 3, bool(pool)) for outputs, pool in plan), Layer(10))


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("W1", (784,), 16, (Layer(1024), Layer(512), Layer(10))),
        Case("W2", (1, 28, 28), 8, (Layer(32, 3, True), Layer(64, 3, True), Layer(128), Layer(10))),
        Case("W3", (3, 32, 32), 4, _vgg16()),
        Case("W4", (700,), 100, (Layer(256, recurrent=True), Layer(20))),
    )
}


@dataclass(frozen=True)
class Trained:
    """One layer with its numbers: weights (outputs, inputs[, 3, 3]), thresholds are whole numbers."""

    layer: Layer
    weight: NDArray[np.int8]
    threshold: int
    again: NDArray[np.int8] | None = None
    """Recurrent weights (outputs, outputs)."""


@dataclass(frozen=True)
class Net:
    """A case at one sparsity, granularity and rate, with the input (steps, *shape) it was made for."""

    case: Case
    layers: tuple[Trained, ...]
    x: Spikes
    rates: tuple[float, ...] = field(default=())
    """Share of spikes in what each layer hears."""

    def scaled(self, steps: int) -> Net:
        """The same net on its input repeated or cut to so many steps."""
        times = -(-steps // len(self.x))
        x = np.concatenate([self.x] * times)[:steps]
        return replace(self, case=replace(self.case, n_steps=steps), x=x)


def make_net(case: Case, sparsity: float, rate: float, *, block: int = 1, seed: int = 0) -> Net:
    """Draw the weights and set the thresholds; deterministic."""
    draw = np.random.default_rng(seed)
    x = (draw.random((case.n_steps, *case.shape)) < rate).astype(np.float32)
    heard, layers, rates = x, [], []
    for number, layer in enumerate(case.layers):
        rates.append(float(heard.mean()))
        inputs = int(np.prod(heard.shape[1:])) if layer.kernel == 0 else heard.shape[1]
        shape = (layer.outputs, inputs, *((layer.kernel,) * 2 if layer.kernel else ()))
        weight = draw_weights(draw, shape, sparsity, block)
        again = draw_weights(draw, (layer.outputs,) * 2, sparsity, block) if layer.recurrent else None
        last = number == len(case.layers) - 1
        current = currents(heard, weight, layer)
        threshold = 1 << 14 if last else calibrated(current, again, layer, rate)
        layers.append(Trained(layer, weight, threshold, again))
        heard = fired(current, again, threshold, pool=layer.pool)
    return Net(case, tuple(layers), x, tuple(rates))


def draw_weights(
    draw: np.random.Generator, shape: tuple[int, ...], sparsity: float, block: int
) -> NDArray[np.int8]:
    """Uniform nonzeros in -7..7; ``block`` neighbouring outputs are kept or lost together."""
    weight = draw.integers(1, LARGEST + 1, shape) * draw.choice([-1, 1], shape)
    groups = -(-shape[0] // block)
    kept = draw.random((groups, *shape[1:])) >= sparsity
    return (weight * np.repeat(kept, block, axis=0)[: shape[0]]).astype(np.int8)


def currents(heard: Spikes, weight: NDArray[np.int8], layer: Layer) -> torch.Tensor:
    """Whole-number currents (steps, outputs[, height, width])."""
    x, w = torch.from_numpy(heard), torch.from_numpy(weight.astype(np.float32))
    with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        if layer.kernel:
            return F.conv2d(x, w, padding=layer.kernel // 2).round()
        return (x.flatten(1) @ w.T).round()


def fired(current: torch.Tensor, again: NDArray[np.int8] | None, threshold: int, *, pool: bool) -> Spikes:
    """Spikes of the integer neurons, pooled."""
    v = torch.zeros(current.shape[1:], dtype=torch.int32)
    back = None if again is None else torch.from_numpy(again.astype(np.float32))
    spikes = torch.zeros_like(current)
    for step in range(len(current)):
        drive = current[step]
        if back is not None and step:
            drive = drive + back @ spikes[step - 1]
        v = v - (v >> LEAK_SHIFT) + drive.to(torch.int32)
        over = v >= threshold
        v = v - over.to(torch.int32) * threshold
        spikes[step] = over
    return (F.max_pool2d(spikes, 2) if pool else spikes).numpy()


def calibrated(current: torch.Tensor, again: NDArray[np.int8] | None, layer: Layer, rate: float) -> int:
    """The threshold that comes nearest to the rate behind the pool."""
    low, high = 1, 1 << 13
    while low < high:
        middle = (low + high) // 2
        if fired(current, again, middle, pool=layer.pool).mean() > rate:
            low = middle + 1
        else:
            high = middle
    return low


def program_of(net: Net, encoding: str | None = None) -> Program:
    """The net as a program: 8-bit tables as lists, or as blocks of 16 where that is asked for."""
    populations: list[Population] = [InputPopulation("input", net.case.shape)]
    projections: list[Projection] = []
    tables: list[EncodedMatrix] = []
    for number, trained in enumerate(net.layers):
        layer, last = trained.layer, number == len(net.layers) - 1
        before, shape = len(populations) - 1, populations[-1].shape
        if layer.kernel:
            out: tuple[int, ...] = (layer.outputs, *shape[1:])
            sides = ((layer.kernel,) * 2, (1, 1), (layer.kernel // 2,) * 2, (1, 1))
            synapses = ConvSynapses((shape[0], *shape[1:]), out, *sides, 1)  # type: ignore[arg-type]
        else:
            out, synapses = (layer.outputs,), LinearSynapses()  # type: ignore[assignment]
        populations.append(NeuronPopulation(f"layer{number}", out, _neuron(trained.threshold, last)))
        taps = layer.kernel**2 or 1
        for weight, pre, delay in ((trained.weight, before, 0), (trained.again, before + 1, 1)):
            if weight is None:
                continue
            matrix = np.moveaxis(weight, 1, 0).reshape(weight.shape[1], -1).astype(np.int32)
            tables.append(encode(matrix, encoding or "lists", 8, taps=taps))
            name = f"synapses{len(tables)}"
            projections.append(Projection(name, pre, before + 1, synapses, len(tables) - 1, delay=delay))
        if layer.pool:
            pooled = (out[0], out[1] // 2, out[2] // 2)
            populations.append(GatePopulation(f"pool{number}", pooled, len(populations) - 1, POOL))
    spec = InputSpec(net.case.shape, Coding.EVENTS, net.case.n_steps)
    parts = (tuple(populations), tuple(projections), tuple(tables))
    return Program(spec, *parts, len(populations) - 1, Readout.MEMBRANE_LAST)


def _neuron(threshold: int, last: bool) -> IntegerNeuron:
    return IntegerNeuron(
        leak=Leak((LEAK_SHIFT,)),
        fire=Fire.SILENT if last else Fire.BINARY,
        reset=Reset.NONE if last else Reset.SUBTRACT,
        width=StateWidth.INT16,
        v_min=StateWidth.INT16.lowest,
        v_max=StateWidth.INT16.highest,
        frac_bits=0,
        threshold_q=(threshold,),
        reset_q=(threshold,),
        bias_q=(0,),
        start_q=(0,),
    )

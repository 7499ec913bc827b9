"""Random pruned programs, and torch modules that show NeuroBench the same layers and inputs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runtime.encodings import CANDIDATES, encode
from runtime.program import (
    ConvSynapses,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Program,
    Projection,
)
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth

N_STEPS = 5
N_SAMPLES = 6
BITS = 4
Weights = NDArray[np.int32]


@dataclass(frozen=True)
class Case:
    """A program, its whole-number weights in torch's layout by projection, and its coded input."""

    program: Program
    weights: tuple[Weights, ...]
    coded: NDArray[np.int32]


def random_case(seed: int) -> Case:
    """Linear nets on events, on a constant analog input, and convolutions on events, in turn."""
    random = np.random.default_rng(seed)
    kind = seed % 3
    if kind == 2:
        return _conv_case(random, seed)
    sizes = tuple(int(n) for n in random.integers(5, 40, 4))
    spec = InputSpec((sizes[0],), Coding.EVENTS, N_STEPS)
    if kind == 1:
        spec = InputSpec((sizes[0],), Coding.DIRECT, N_STEPS, bits=BITS, constant=True)
    weights = tuple(_pruned(random, (n, m)) for m, n in itertools.pairwise(sizes))
    synapses = tuple(LinearSynapses() for _ in weights)
    shapes = tuple((n,) for n in sizes)
    return Case(_program(spec, shapes, synapses, weights, seed), weights, _coded(random, spec))


def _conv_case(random: np.random.Generator, seed: int) -> Case:
    """A convolution with stride, padding and groups, then a linear readout."""
    groups, stride, padding = (int(n) for n in (random.integers(1, 3), random.integers(1, 3), seed % 2))
    channels, side = 2 * groups, int(random.integers(5, 9))
    out = (side + 2 * padding - 3) // stride + 1
    conv = ConvSynapses(
        (channels, side, side),
        (4, out, out),
        (3, 3),
        (stride, stride),
        (padding, padding),
        (1, 1),
        groups,
    )
    weights = (_pruned(random, (4, 2, 3, 3)), _pruned(random, (7, 4 * out * out)))
    spec = InputSpec((channels, side, side), Coding.EVENTS, N_STEPS)
    shapes = ((channels, side, side), (4, out, out), (7,))
    program = _program(spec, shapes, (conv, LinearSynapses()), weights, seed)
    return Case(program, weights, _coded(random, spec))


def _pruned(random: np.random.Generator, shape: tuple[int, ...]) -> Weights:
    """8-bit weights of random density, some channels without any."""
    density = random.uniform(0.05, 0.6)
    weights = random.integers(-127, 128, shape) * (random.random(shape) < density)
    weights[random.random(shape[0]) < 0.1] = 0
    return weights.astype(np.int32)


def _coded(random: np.random.Generator, spec: InputSpec) -> NDArray[np.int32]:
    if spec.constant:
        x = random.integers(0, 1 << spec.bits, (N_SAMPLES, *spec.shape))
        x[random.random(x.shape) < 0.3] = 0
        x[0, 0] = 3  # never all 0 and 1, so that NeuroBench sees an analog layer
        return np.broadcast_to(x, (N_STEPS, *x.shape)).astype(np.int32)
    shape = (N_STEPS, N_SAMPLES, *spec.shape)
    return (random.random(shape) < random.uniform(0.1, 0.6)).astype(np.int32)


def _program(
    spec: InputSpec,
    shapes: tuple[tuple[int, ...], ...],
    synapses: tuple[LinearSynapses | ConvSynapses, ...],
    weights: tuple[Weights, ...],
    seed: int,
) -> Program:
    names = [f"n{i}" for i in range(len(shapes))]
    threshold = 60 << 4 if spec.coding is Coding.EVENTS else 200 << 4
    neurons = [NeuronPopulation(n, s, _lif(threshold)) for n, s in zip(names[1:], shapes[1:], strict=True)]
    encoding = CANDIDATES[seed % len(CANDIDATES)]
    return Program(
        input=spec,
        populations=(InputPopulation("n0", shapes[0]), *neurons),
        projections=tuple(Projection(f"p{i}", i, i + 1, one, i, shift=4) for i, one in enumerate(synapses)),
        tables=tuple(encode(_table(w, s), encoding, 8) for w, s in zip(weights, synapses, strict=True)),
        output=len(shapes) - 1,
        readout=Readout.COUNT,
    )


def _lif(threshold: int) -> IntegerNeuron:

    return IntegerNeuron(
        leak=Leak((2,)),
        fire=Fire.BINARY,
        reset=Reset.SUBTRACT,
        width=StateWidth.INT32,
        v_min=-(1 << 20),
        v_max=1 << 20,
        frac_bits=4,
        threshold_q=(threshold,),
        reset_q=(threshold,),
        bias_q=(0,),
        start_q=(0,),
    )


def _table(weight: Weights, synapses: LinearSynapses | ConvSynapses) -> Weights:
    if isinstance(synapses, LinearSynapses):
        return np.ascontiguousarray(weight.T)
    groups = np.split(weight, synapses.groups)
    rows = [group.transpose(1, 0, 2, 3).reshape(group.shape[1], -1) for group in groups]
    return np.ascontiguousarray(np.concatenate(rows))


class Replay(nn.Module):
    """The layers of a case under the inputs that a run gave them, step by step.

    NeuroBench hooks the layers, so it judges exactly the spikes that the runtime delivered.
    """

    def __init__(self, case: Case, inputs: tuple[Tensor, ...]) -> None:
        """``inputs`` holds (steps, samples, *shape) for each projection."""
        super().__init__()
        self.inputs = inputs
        synapses = [projection.synapses for projection in case.program.projections]
        self.layers = nn.ModuleList(map(_layer, case.weights, synapses))

    def forward(self, batch: Tensor) -> Tensor:
        for t in range(N_STEPS):
            for layer, x in zip(self.layers, self.inputs, strict=True):
                layer(x[t])
        return batch


def _layer(weight: Weights, synapses: LinearSynapses | ConvSynapses) -> nn.Module:
    layer: nn.Linear | nn.Conv2d
    if isinstance(synapses, LinearSynapses):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    else:
        channels = (synapses.in_shape[0], synapses.out_shape[0])
        layer = nn.Conv2d(*channels, 3, synapses.stride, synapses.padding, groups=synapses.groups, bias=False)
    layer.weight.data = torch.from_numpy(weight).float()
    return layer.requires_grad_(False)

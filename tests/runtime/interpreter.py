"""A second interpreter of programs, written from ``docs/neuron-model.md`` in plain Python loops.

It shares no code with the engine but the decoder of tables, which has tests of its own. Slow and obvious.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from runtime.encodings import decode
from runtime.program import (
    ConvSynapses,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Program,
)
from runtime.spec import Fire, Readout, Reset, SynapticOrder


def run(program: Program, coded: np.ndarray) -> tuple[dict, dict, np.ndarray, dict]:
    """Payloads and membranes by name (steps, samples, neurons), scores, operations by projection."""
    steps, samples = coded.shape[:2]
    neurons = [p for p in program.populations if isinstance(p, NeuronPopulation)]
    spikes = {p.name: np.zeros((steps, samples, math.prod(p.shape)), np.int64) for p in neurons}
    membranes = {name: a.copy() for name, a in spikes.items()}
    operations = {p.name: 0 for p in program.projections}
    for sample in range(samples):
        one = _Sample(program, operations)
        for step in range(steps):
            one.step([int(x) for x in coded[step, sample].ravel()], step)
            for number, population in enumerate(program.populations):
                if isinstance(population, NeuronPopulation):
                    spikes[population.name][step, sample] = one.past[-1][number]
                    membranes[population.name][step, sample] = one.v[number]
    name = program.populations[program.output].name
    return spikes, membranes, _scores(program.readout, spikes[name], membranes[name]), operations


def _scores(readout: Readout, spikes: np.ndarray, membranes: np.ndarray) -> np.ndarray:
    return {
        Readout.COUNT: spikes.sum(axis=0),
        Readout.MEMBRANE_LAST: membranes[-1],
        Readout.MEMBRANE_MAX: membranes.max(axis=0),
        Readout.MEMBRANE_SUM: membranes.sum(axis=0),
    }[readout]


class _Sample:
    def __init__(self, program: Program, operations: dict[str, int]) -> None:
        self.program, self.operations = program, operations
        self.synapses = [_targets(program, p) for p in program.projections]
        self.past: list[list[list[int]]] = []
        self.v: dict[int, list[int]] = {}
        self.i: dict[int, list[int]] = {}
        for number, p in enumerate(program.populations):
            if isinstance(p, NeuronPopulation):
                self.v[number] = _each(p.neuron.start_q, p.shape)
                self.i[number] = [0] * math.prod(p.shape)

    def step(self, frame: list[int], step: int) -> None:
        now: list[list[int]] = []
        self.past.append(now)
        for number, population in enumerate(self.program.populations):
            match population:
                case InputPopulation():
                    now.append(frame)
                case GatePopulation():
                    shape = self.program.populations[population.source].shape
                    source = now[population.source]
                    windows = _windows(shape, population.window)
                    now.append([max([0, *(source[cell] for cell in cells)]) for cells in windows])
                case NeuronPopulation():
                    now.append(self.neurons(number, population, step))

    def neurons(self, number: int, population: NeuronPopulation, step: int) -> list[int]:
        size = math.prod(population.current_shape or population.shape)
        current = [0] * size
        for k, p in enumerate(self.program.projections):
            if p.post == number and step >= p.delay:
                acc = self.accumulate(k, self.past[step - p.delay][p.pre], size, step)
                for n, a in enumerate(acc):
                    current[n] += a << p.shift if p.shift >= 0 else (a + (1 << (-p.shift - 1))) >> -p.shift
        if population.pool:
            windows = _windows(population.current_shape, population.pool)
            current = [max(current[cell] for cell in cells) for cells in windows]
        return self.update(number, population, current)

    def accumulate(self, k: int, payloads: list[int], size: int, step: int) -> list[int]:
        acc = [0] * size
        p, spec = self.program.projections[k], self.program.input
        once = p.pre == 0 and p.delay == 0 and spec.constant and step > 0
        for neuron, payload in enumerate(payloads):
            if payload == 0:
                continue
            bits = [b for b in range(20) if abs(payload) >> b & 1]
            for target, weight in self.synapses[k][neuron]:
                for b in bits:
                    acc[target] += (weight << b) * (1 if payload > 0 else -1)
                    self.operations[p.name] += 0 if once else 1
        return acc

    def update(self, number: int, population: NeuronPopulation, current: list[int]) -> list[int]:
        model = population.neuron
        each = {
            f: _each(getattr(model, f), population.shape)
            for f in ("threshold_q", "reset_q", "bias_q", "payload_shift")
        }
        out = []
        for n, entering in enumerate(current):
            drive = entering
            v, i = self.v[number][n], self.i[number][n]
            if model.synaptic_leak is not None:
                i_new = i - sum(i >> k for k in model.synaptic_leak.shifts) + entering
                drive = i_new if model.synaptic_order is SynapticOrder.NEW else i
                self.i[number][n] = max(model.v_min, min(model.v_max, i_new))
            u = v - sum(v >> k for k in model.leak.shifts) + drive + each["bias_q"][n]
            payload = 0
            if model.fire is not Fire.SILENT and u >= each["threshold_q"][n]:
                shift = each["payload_shift"][n]
                payload = 1
                if model.fire is Fire.GRADED:
                    payload = min(2**model.payload_bits - 1, u >> shift)
                if model.reset is Reset.VALUE:
                    u = each["reset_q"][n]
                elif model.reset is Reset.SUBTRACT:
                    u -= payload << shift if model.fire is Fire.GRADED else each["reset_q"][n]
            self.v[number][n] = max(model.v_min, min(model.v_max, u))
            out.append(payload)
        return out


def _each(values: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    n = math.prod(shape)
    if len(values) == n:
        return list(values)
    channel = n // shape[0]
    return [values[k // channel] if len(values) > 1 else values[0] for k in range(n)]


def _windows(shape: tuple[int, int, int], window) -> list[list[int]]:
    channels, height, width = shape
    (kh, kw), (sh, sw), (ph, pw) = window.kernel, window.stride, window.padding
    found = []
    for c in range(channels):
        for top in range(-ph, height + ph - kh + 1, sh):
            for left in range(-pw, width + pw - kw + 1, sw):
                cells = itertools.product(range(top, top + kh), range(left, left + kw))
                inside = [(y, x) for y, x in cells if 0 <= y < height and 0 <= x < width]
                found.append([(c * height + y) * width + x for y, x in inside])
    return found


def _targets(program: Program, p) -> list[list[tuple[int, int]]]:
    """For each presynaptic neuron its (target, nonzero weight) pairs."""
    matrix = decode(program.tables[p.table])
    pre = program.populations[p.pre]
    post = program.populations[p.post]
    match p.synapses:
        case LinearSynapses():
            rows = [[(c, int(w)) for c, w in enumerate(row) if w] for row in matrix]
        case ConvSynapses() as conv:
            rows = _conv_targets(conv, matrix)
        case _:
            count = math.prod(post.current_shape or post.shape)
            each = [int(w) for w in matrix[0] for _ in range(count // matrix.shape[1])]
            rows = [[(n, w)] if w else [] for n, w in enumerate(each)]
    if p.pool is None:
        return rows
    pooled = [[] for _ in range(math.prod(pre.shape))]
    for target, cells in enumerate(_windows(pre.shape, p.pool)):
        for cell in cells:
            pooled[cell] = rows[target]
    return pooled


def _conv_targets(conv: ConvSynapses, matrix: np.ndarray) -> list[list[tuple[int, int]]]:
    channels, height, width = conv.in_shape
    outputs, out_height, out_width = conv.out_shape
    rows: list[list[tuple[int, int]]] = [[] for _ in range(channels * height * width)]
    per_group = outputs // conv.groups
    places = itertools.product(range(outputs), range(out_height), range(out_width))
    for o, oy, ox in places:
        for c in range(channels):
            if c // (channels // conv.groups) != o // per_group:
                continue
            for ky, kx in itertools.product(range(conv.kernel[0]), range(conv.kernel[1])):
                y = oy * conv.stride[0] + ky * conv.dilation[0] - conv.padding[0]
                x = ox * conv.stride[1] + kx * conv.dilation[1] - conv.padding[1]
                weight = int(matrix[c, (o % per_group * conv.kernel[0] + ky) * conv.kernel[1] + kx])
                if 0 <= y < height and 0 <= x < width and weight:
                    target = (o * out_height + oy) * out_width + ox
                    rows[(c * height + y) * width + x].append((target, weight))
    return rows

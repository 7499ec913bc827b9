"""One small program per feature of the runtime, and random ones that mix them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from runtime.encodings import CANDIDATES
from runtime.program import Program, Window
from runtime.spec import (
    Coding,
    Fire,
    InputSpec,
    Leak,
    Readout,
    Reset,
    StateWidth,
    SynapticOrder,
)
from tests.builders.programs import Builder, events, mlp, neuron, silent

SPARSE_AND_DENSE = CANDIDATES


def conv(encoding: str, seed: int = 0, **options: object) -> Program:
    """A convolution of these options into neurons, then a linear readout."""
    build = Builder(np.random.default_rng(seed), events((4, 6, 5)), density=0.5)
    synapses = build.conv(0, 6, **options)  # type: ignore[arg-type]
    post = build.neurons(synapses.out_shape)
    build.convolve(0, post, synapses, encoding)
    out = build.neurons((3,))
    build.linear(post, out, encoding)
    return build.program()


def sum_pooled(encoding: str) -> Program:
    """Spikes summed by address before a convolution and before a linear projection; odd sides."""
    build = Builder(np.random.default_rng(3), events((2, 7, 6)))
    window = Window((2, 2), (2, 2))
    synapses = build.conv(0, 3, pool=window)
    post = build.neurons(synapses.out_shape)
    build.convolve(0, post, synapses, encoding, pool=window)
    out = build.neurons((4,))
    build.linear(post, out, encoding, pool=Window((1, 2), (1, 2)))
    return build.program()


def max_pooled(encoding: str) -> Program:
    """A gate over graded payloads with padding, and a population that pools its currents."""
    build = Builder(np.random.default_rng(4), events((2, 7, 6), bits=2))
    gate = build.gate(0, Window((3, 3), (2, 2), (1, 1)))
    synapses = build.conv(gate, 4)
    post = build.pooled_neurons(synapses.out_shape, Window((2, 2), (1, 1)), neuron(bias_q=(1, 2, 3, 0)))
    build.convolve(gate, post, synapses, encoding, shift=1)
    out = build.neurons((3,), silent())
    build.linear(post, out, encoding)
    return build.program(Readout.MEMBRANE_MAX)


def recurrent(encoding: str) -> Program:
    """A population that hears itself one and three steps later, and a delayed readout."""
    build = Builder(np.random.default_rng(5), events((5,), n_steps=9))
    post = build.neurons((7,), neuron(leak=Leak((2, 4))))
    build.linear(0, post, encoding)
    build.linear(post, post, encoding, delay=1)
    build.linear(post, post, encoding, delay=3)
    out = build.neurons((3,))
    build.linear(post, out, encoding, delay=2)
    return build.program()


def residual(encoding: str) -> Program:
    """A diagonal skip beside a convolution, with shifts of their own."""
    build = Builder(np.random.default_rng(6), events((3, 5, 5)))
    first = build.conv(0, 3)
    a = build.neurons(first.out_shape)
    build.convolve(0, a, first, encoding)
    b = build.neurons(first.out_shape, neuron(threshold_q=(30, 40, 50), reset_q=(30, 40, 50)))
    build.convolve(a, b, build.conv(a, 3), encoding, shift=2)
    build.diagonal(a, b, shift=1)
    out = build.neurons((4,), silent())
    build.linear(b, out, encoding)
    return build.program(Readout.MEMBRANE_LAST)


def spike_sums(encoding: str) -> Program:
    """SEW: two populations drive one table."""
    build = Builder(np.random.default_rng(7), events((6,)))
    a, b = build.neurons((6,)), build.neurons((6,), neuron(threshold_q=(5,), reset_q=(5,)))
    build.linear(0, a, encoding)
    build.linear(0, b, encoding)
    out = build.neurons((4,))
    build.linear(a, out, encoding)
    shared = build.projections[-1]
    build.projections.append(type(shared)("shared", b, out, shared.synapses, shared.table))
    return build.program()


def graded(encoding: str) -> Program:
    """Three-bit payloads, both resets, a payload shift per channel."""
    build = Builder(np.random.default_rng(8), events((6,), bits=3))
    model = neuron(fire=Fire.GRADED, payload_bits=3, threshold_q=(8,) * 4 + (4,) * 4, reset_q=(0,))
    shifts = (3,) * 4 + (2,) * 4
    a = build.neurons((8,), neuron(**{**model.__dict__, "payload_shift": shifts}))
    build.linear(0, a, encoding)
    valued = {**model.__dict__, "payload_shift": (2,), "reset": Reset.VALUE, "reset_q": (-3,)}
    b = build.neurons((5,), neuron(**{**valued, "threshold_q": (6,)}))
    build.linear(a, b, encoding)
    return build.program()


def cuba(encoding: str) -> Program:
    """Synaptic currents, the new and the old one driving; a clamp that acts."""
    build = Builder(np.random.default_rng(9), events((6,), n_steps=10))
    narrow = {"width": StateWidth.INT8, "v_min": -20, "v_max": 30, "synaptic_leak": Leak((1,))}
    a = build.neurons((8,), neuron(**narrow, start_q=(-5,)))
    build.linear(0, a, encoding)
    old = {"synaptic_leak": Leak((2, 3)), "synaptic_order": SynapticOrder.OLD}
    b = build.neurons((4,), silent(**old, bias_q=(-1,)))
    build.linear(a, b, encoding)
    return build.program(Readout.MEMBRANE_SUM)


def direct(encoding: str) -> Program:
    """Signed direct input of every step, rounded once."""
    build = Builder(np.random.default_rng(10), InputSpec((6,), Coding.DIRECT, 6, bits=8, signed=True))
    a = build.neurons((8,), neuron(threshold_q=(60,), reset_q=(60,)))
    build.linear(0, a, encoding, shift=-4)
    out = build.neurons((4,))
    build.linear(a, out, encoding)
    return build.program()


def constant(encoding: str) -> Program:
    """Constant direct input rounded, beside a recurrent projection with a shift to the left."""
    spec = InputSpec((6,), Coding.DIRECT, 8, bits=6, constant=True)
    build = Builder(np.random.default_rng(11), spec)
    a = build.neurons((8,), neuron(threshold_q=(30,), reset_q=(30,)))
    build.linear(0, a, encoding, shift=-3)
    build.linear(a, a, encoding, delay=1, shift=1)
    b = build.neurons((8,), neuron(threshold_q=(90,), reset_q=(90,)))
    build.linear(0, b, encoding, shift=-1)
    build.linear(a, b, encoding)
    out = build.neurons((4,), neuron(reset=Reset.NONE))
    build.linear(b, out, encoding)
    build.linear(0, out, encoding, delay=1)
    return build.program()


ZOO: dict[str, Callable[[str], Program]] = {
    "linear": lambda encoding: mlp(encoding=encoding),
    "conv": conv,
    "conv strided": lambda e: conv(e, stride=(2, 3), padding=(2, 0)),
    "conv grouped": lambda e: conv(e, groups=2, kernel=(3, 2), padding=(0, 1)),
    "conv dilated": lambda e: conv(e, dilation=(2, 2), padding=(2, 1), stride=(2, 1)),
    "sum pool": sum_pooled,
    "max pool": max_pooled,
    "recurrent": recurrent,
    "residual": residual,
    "spike sums": spike_sums,
    "graded": graded,
    "cuba": cuba,
    "direct": direct,
    "constant": constant,
}


def random_program(seed: int) -> Program:
    """Some layers of random kind, encoding, width and neuron."""
    rng = np.random.default_rng(seed)
    build = Builder(rng, events((int(rng.integers(1, 4)), 5, 4), n_steps=5, bits=int(rng.integers(1, 4))))
    build.bits, build.density = int(rng.choice([2, 3, 4, 8])), float(rng.uniform(0.05, 0.9))
    last = 0
    for _ in range(int(rng.integers(1, 4))):
        last = _random_layer(build, last)
    out = build.neurons((int(rng.integers(2, 5)),), _random_neuron(rng))
    build.linear(last, out, str(rng.choice(SPARSE_AND_DENSE)))
    return build.program(Readout(rng.choice([r.value for r in Readout])))


def _random_layer(build: Builder, last: int) -> int:
    rng, encoding = build.rng, str(build.rng.choice(SPARSE_AND_DENSE))
    shape = build.populations[last].shape
    shift = int(rng.integers(0, 3))
    if len(shape) == 3 and rng.random() < 0.7:
        sides = {name: (int(rng.integers(1, 3)), int(rng.integers(1, 3))) for name in ("stride", "dilation")}
        kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        padding = (int(rng.integers(2, 5)), int(rng.integers(2, 5)))
        synapses = build.conv(last, int(rng.integers(1, 4)), kernel, padding=padding, **sides)
        post = build.neurons(synapses.out_shape, _random_neuron(rng, silent_allowed=False))
        build.convolve(last, post, synapses, encoding, shift=shift)
    else:
        post = build.neurons((int(rng.integers(1, 9)),), _random_neuron(rng, silent_allowed=False))
        build.linear(last, post, encoding, shift=shift)
    if rng.random() < 0.4:
        build.diagonal(post, post, delay=int(rng.integers(1, 3)))
    return post


def _random_neuron(rng: np.random.Generator, silent_allowed: bool = True) -> object:
    threshold = int(rng.integers(3, 20))
    changes: dict[str, object] = {
        "leak": Leak(tuple(int(k) for k in rng.integers(1, 6, rng.integers(0, 3)))),
        "reset": Reset(rng.choice([r.value for r in Reset])),
        "threshold_q": (threshold,),
        "reset_q": (threshold if rng.random() < 0.7 else int(rng.integers(-4, 4)),),
        "bias_q": (int(rng.integers(-2, 3)),),
        "start_q": (int(rng.integers(-5, 6)),),
    }
    if rng.random() < 0.4:
        changes["synaptic_leak"] = Leak((int(rng.integers(1, 4)),))
        changes["synaptic_order"] = SynapticOrder(rng.choice(["new", "old"]))
    if rng.random() < 0.4:
        changes |= {"width": StateWidth.INT8, "v_min": -int(rng.integers(6, 128)), "v_max": 40}
    if rng.random() < 0.3:
        shift = int(rng.integers(0, 3))
        changes |= {"fire": Fire.GRADED, "payload_bits": 2, "payload_shift": (shift,)}
        changes["threshold_q"] = (1 << shift,)
    return neuron(**changes)

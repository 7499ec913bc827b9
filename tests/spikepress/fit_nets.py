"""Small networks to fit: labels are what the trained network itself says, so accuracy falls with size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import nn

from runtime.spec import Coding, InputSpec, Readout
from spikepress.recipe import Lattice
from spikepress.workshop import Source, Workshop
from tests.builders import nets
from trainer.datasets import Samples
from trainer.evaluate import evaluate
from trainer.layers import Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF

LATTICE = Lattice(
    neurons=(1.0, 0.70711, 0.5),
    densities=tuple(round(0.8**k, 5) for k in range(12)),
    bits=("8", "4", "ternary"),
    last=("", "8"),
    blocks=(1, 4),
)
SMALL_LATTICE = replace(
    LATTICE,
    neurons=(1.0, 0.5),
    densities=(1.0, 0.6, 0.36, 0.2),
    bits=("8", "ternary"),
    last=("",),
    blocks=(1,),
)


def wide() -> SpikingNet:
    """20-48-24-5 on events."""
    body = nn.Sequential(Linear(20, 48), LIF(2), Linear(48, 24), LIF(2), Linear(24, 5), LI(2))
    return nets.seeded(SpikingNet(body, InputSpec((20,), Coding.EVENTS, 5), Readout.MEMBRANE_SUM))


NETS = {
    "direct": lambda: nets.mlp(readout=Readout.MEMBRANE_SUM),
    "wide": wide,
    "convolutions": nets.conv,
    "sequence": nets.sequence,
    "recurrent": nets.recurrent,
}


def samples(net: SpikingNet, count: int, seed: int) -> Samples:
    """Random samples the net's input may carry, labelled by the net."""
    draw, spec = np.random.default_rng(seed), net.input
    shape = spec.shape if spec.constant else (spec.n_steps, *spec.shape)
    x = draw.integers(0, 1 << spec.bits, (count, *shape))
    if not spec.constant:
        x = x * (draw.random(x.shape) < 0.5)
    found = Samples(x.astype(np.int64), np.zeros(count, np.int64))
    return Samples(found.x, evaluate(net.eval(), found).predictions)


def workshop(name: str, folder) -> Workshop:
    net = NETS[name]()
    return Workshop(Source(net, name, samples(net, 96, 1), samples(net, 200, 2), folder / name))

"""Small networks for the pruner's tests."""

from __future__ import annotations

import torch
from torch import nn

from runtime.spec import Coding, InputSpec, Readout
from trainer.layers import Conv2d, Flatten, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF
from trainer.recurrent import Recurrent

N_STEPS = 3


def lively(net: SpikingNet) -> SpikingNet:
    """The net with weights large enough that an untrained one spikes."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3.0)
    return net


def mlp(seed: int = 0, *, silent: bool = True) -> SpikingNet:
    """6 - 8 - 4, event input."""
    torch.manual_seed(seed)
    readout: nn.Module = LI(2) if silent else LIF(1)
    body = nn.Sequential(Linear(6, 8), LIF(1), Linear(8, 4), readout)
    kind = Readout.MEMBRANE_SUM if silent else Readout.COUNT
    return lively(SpikingNet(body, InputSpec((6,), Coding.EVENTS, N_STEPS), kind))


def conv(seed: int = 0) -> SpikingNet:
    """Two convolutions, the second grouped, and a readout; a flatten between current and neuron."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        Conv2d(2, 4, 3, padding=1),
        LIF(1),
        Conv2d(4, 4, 3, stride=2, groups=2),
        Flatten(),
        LIF(1),
        Linear(16, 3),
        LI(1),
    )
    return lively(SpikingNet(body, InputSpec((2, 5, 5), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM))


def recurrent(seed: int = 0) -> SpikingNet:
    """5 - 7 with itself - 3."""
    torch.manual_seed(seed)
    body = nn.Sequential(Linear(5, 7), Recurrent(Linear(7, 7), LIF(1)), Linear(7, 3), LI(1))
    return lively(SpikingNet(body, InputSpec((5,), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM))


def events(net: SpikingNet, batch: int = 16, seed: int = 0) -> torch.Tensor:
    """Coded binary input (steps, batch, *shape)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(N_STEPS, batch, *net.input.shape, generator=generator) < 0.5).float()

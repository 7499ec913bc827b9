"""Small spiking nets, all from fixed seeds, with weights that make them fire."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from runtime.spec import Coding, Fire, InputSpec, Readout, Reset, SynapticOrder
from trainer.layers import AvgPool, BatchNorm, Conv1d, Conv2d, Flatten, Linear, MaxPool, Skip, SumPool
from trainer.models import Residual, SpikingNet
from trainer.neuron import IF, LI, LIF, CubaLIF, Firing
from trainer.recurrent import Recurrent


def mlp(n_steps: int = 5, readout: Readout = Readout.COUNT) -> SpikingNet:
    """12-16-4 on constant direct input of 8 bits."""
    last = LIF(2) if readout is Readout.COUNT else LI(3)
    body = nn.Sequential(Linear(12, 16), LIF(2), Linear(16, 4), last)
    spec = InputSpec((12,), Coding.DIRECT, n_steps, bits=8, scale=1 / 255, constant=True)
    return seeded(SpikingNet(body, spec, readout))


def conv() -> SpikingNet:
    """Two-dimensional convolutions with batch norm, max pool of currents and of spikes, average pool."""
    body = nn.Sequential(
        Conv2d(2, 6, 3, padding=1),
        BatchNorm(6),
        MaxPool(2),
        LIF(2, bias_channels=6),
        Conv2d(6, 6, 3, padding=1, groups=2, bias=True),
        IF(),
        MaxPool(2),
        Conv2d(6, 8, 2, dilation=1),
        LIF(3, Firing(reset=Reset.VALUE)),
        AvgPool(1),
        Flatten(),
        Linear(8, 4),
        LIF(2),
    )
    return seeded(SpikingNet(body, InputSpec((2, 8, 8), Coding.EVENTS, 6), Readout.COUNT))


def pooled() -> SpikingNet:
    """Average and sum pools of spikes before linear maps."""
    body = nn.Sequential(
        Conv2d(1, 4, 3),
        LIF(2),
        AvgPool(2),
        Conv2d(4, 4, 2),
        LIF(1),
        SumPool(2),
        Flatten(),
        Linear(4, 3),
        LIF(2),
    )
    spec = InputSpec((1, 8, 8), Coding.DIRECT, 4, bits=4, scale=1 / 15, constant=True)
    return seeded(SpikingNet(body, spec, Readout.COUNT))


def sequence() -> SpikingNet:
    """One-dimensional convolutions over (channels, length)."""
    body = nn.Sequential(
        Conv1d(2, 4, 5, stride=2, padding=2), LIF(2), MaxPool(2), Flatten(), Linear(16, 3), LI(2)
    )
    return seeded(SpikingNet(body, InputSpec((2, 16), Coding.EVENTS, 5, bits=2), Readout.MEMBRANE_MAX))


def recurrent() -> SpikingNet:
    """A population that hears itself, then a CUBA population."""
    body = nn.Sequential(
        Linear(10, 12),
        Recurrent(Linear(12, 12), LIF(2)),
        Linear(12, 8),
        CubaLIF(2, synaptic_order=SynapticOrder.OLD),
        Linear(8, 3),
        LI(3),
    )
    return seeded(SpikingNet(body, InputSpec((10,), Coding.EVENTS, 7), Readout.MEMBRANE_SUM))


def residual() -> SpikingNet:
    """A residual add of currents through a Skip, and one of spikes (SEW)."""
    currents = Residual(nn.Sequential(Linear(12, 12), LIF(2), Linear(12, 12)), Skip(12))
    spikes = Residual(nn.Sequential(Linear(12, 12), LIF(2)))
    body = nn.Sequential(Linear(6, 12), LIF(2), currents, LIF(2), spikes, Linear(12, 3), LIF(2))
    return seeded(SpikingNet(body, InputSpec((6,), Coding.EVENTS, 6), Readout.COUNT))


def graded() -> SpikingNet:
    """Payloads of three bits, one step."""
    firing = Firing(threshold=(0.25,), fire=Fire.GRADED, payload_bits=3)
    body = nn.Sequential(Linear(12, 10), IF(firing), Linear(10, 10), LIF(2, firing), Linear(10, 3), LI(2))
    spec = InputSpec((12,), Coding.DIRECT, 3, bits=4, scale=1 / 15, constant=True)
    return seeded(SpikingNet(body, spec, Readout.MEMBRANE_LAST))


NETS: dict[str, Callable[[], SpikingNet]] = {
    "mlp": mlp,
    "conv": conv,
    "pooled": pooled,
    "sequence": sequence,
    "recurrent": recurrent,
    "residual": residual,
    "graded": graded,
}


def seeded(net: SpikingNet, seed: int = 0) -> SpikingNet:
    """Weights from a seed, large enough for every layer to fire."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.normal_(0.35 / fan_in**0.5, 1.6 / fan_in**0.5, generator=draw)
    return net


def coded_input(net: SpikingNet, samples: int = 6, seed: int = 1) -> Tensor:
    """Random integers (steps, samples, *shape) the net's input may carry."""
    spec = net.input
    draw = torch.Generator().manual_seed(seed)
    shape = (spec.n_steps, samples, *spec.shape)
    low = -(1 << spec.bits) + 1 if spec.signed else 0
    if spec.constant:
        return torch.randint(low, 1 << spec.bits, shape[1:], generator=draw).expand(shape)
    values = torch.randint(max(low, 1), 1 << spec.bits, shape, generator=draw)
    return values * (torch.rand(shape, generator=draw) < 0.4)

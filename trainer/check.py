"""Refuses, before anything is trained, a net that has no integer form or that is not read as it ends."""

from __future__ import annotations

from runtime.errors import UnsupportedError
from runtime.spec import Fire, Readout, Reset, ResetTiming
from trainer.layers import BatchNorm
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.recurrent import Recurrent
from trainer.structure import output_population, populations, sites
from trainer.synapse import Synapse


def check_structure(net: SpikingNet) -> None:
    """Refuse, before anything is trained, a net that has no integer form or that is not read as it ends.

    Raises:
        ModelError: the body does not end in a population.
        UnsupportedError: synapses and populations do not alternate, no integer neuron equals one of the
            net's, or the readout counts what never fires or reads the membranes of what does.
    """
    output = output_population(net)
    silent = net.neurons()[output].firing.fire is Fire.SILENT
    if silent and net.readout is Readout.COUNT:
        raise UnsupportedError(f"{output}: found readout by count of an LI, expected a membrane readout")
    if not silent and net.readout is not Readout.COUNT:
        raise UnsupportedError(
            f"{output}: found readout {net.readout.value} of a population that fires, expected count or an LI"
        )
    found = populations(net)
    used = {*found, *(afferent.name for group in found.values() for afferent in group)}
    for name, module in net.body.named_modules():
        if isinstance(module, Synapse | Neuron) and name not in used:
            raise UnsupportedError(f"{name}: found a layer that feeds no population, expected each to")
    for name, neuron in net.neurons().items():
        _check_neuron(name, neuron, _offsets(net, name))


def _offsets(net: SpikingNet, population: str) -> list[str]:
    """Layers that add a constant to a population's current: biases and batch norms."""
    found = sites(net.body)
    waiting = [population.removesuffix(".neuron") if population not in found else population]
    out = []
    while waiting:
        site = found[waiting.pop()]
        if isinstance(site.module, Recurrent):
            out += [f"{site.name}.linear"] if _has_bias(site.module.linear) else []
        if isinstance(site.module, BatchNorm) or (
            isinstance(site.module, Synapse) and _has_bias(site.module)
        ):
            out.append(site.name)
        if not isinstance(site.module, Synapse):
            waiting += site.sources
    return out


def _has_bias(synapse: Synapse) -> bool:
    return synapse.bias is not None and bool(synapse.bias.any())


def _check_neuron(name: str, neuron: Neuron, offsets: list[str]) -> None:
    """Refuse neurons that train but that no integer neuron equals."""
    firing, cuba = neuron.firing, neuron.synapse is not None
    if cuba and offsets:
        raise UnsupportedError(
            f"{offsets[0]}: found a bias or a batch norm that {name} would filter through its synaptic "
            "current, expected the bias in the neuron"
        )
    if firing.fire is Fire.GRADED and neuron.v_leak != 0.0:
        raise UnsupportedError(f"{name}: found a graded neuron with v_leak, expected v_leak 0")
    if firing.reset_timing is ResetTiming.NEXT_STEP and firing.reset is Reset.VALUE:
        level = any(value != neuron.v_leak for value in firing.reset_value)
        if cuba or level:
            raise UnsupportedError(
                f"{name}: found a reset to a value in the next step, expected one to v_leak of a neuron "
                "without synaptic current, or a reset in the same step"
            )

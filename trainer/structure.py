"""What feeds what in a net's body, from its ``torch.fx`` trace: sites, and each population's synapses."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn

from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Fire
from trainer.layers import AvgPool, BatchNorm, Flatten, MaxPool, Pool, SumPool
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.recurrent import Recurrent
from trainer.synapse import Synapse

LEAVES: tuple[type[nn.Module], ...] = (Synapse, BatchNorm, Pool, Flatten, Neuron, Recurrent)
"""Modules a trace does not look into."""

TRANSPARENT: tuple[type[nn.Module], ...] = (nn.Identity, nn.Dropout)
"""Modules that change nothing in evaluation; folded batch norms leave an Identity."""

INPUT = "input"


@dataclass(frozen=True)
class Site:
    """A step of the forward: the input or a sum (``module`` None), or a leaf module under its fx target."""

    name: str
    module: nn.Module | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Afferent:
    """Synapses that feed a population. ``factor`` is the real value of one presynaptic unit: the input
    scale, or 1 / window of an average pool (which sums in whole numbers)."""

    name: str
    synapse: Synapse
    factor: float
    from_input: bool


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


def sites(body: nn.Module) -> dict[str, Site]:
    """The sites of ``body`` by name in order of execution; the last one is the output.

    Raises:
        UnsupportedError: the forward does something other than calling leaf modules and adding.
    """
    if isinstance(body, LEAVES):
        body = nn.Sequential(body)
    graph = _traced(body)
    found: dict[str, Site] = {}
    names: dict[fx.Node, str] = {}
    for node in graph.nodes:
        if node.op == "output":
            continue
        site = _site(node, body, names)
        names[node] = site.name
        if site.name in found:
            raise UnsupportedError(f"{site.name}: found a module called twice, expected one call a step")
        if isinstance(site.module, TRANSPARENT):
            names[node] = site.sources[0]
            continue
        found[site.name] = site
    return found


def _traced(body: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(body)
    except Exception as error:
        # a user's forward can raise anything while it is traced
        reason = " ".join(str(error).split())
        raise UnsupportedError(
            f"forward: found {reason}, expected only modules and '+', whatever the values"
        ) from error


def _site(node: fx.Node, body: nn.Module, names: dict[fx.Node, str]) -> Site:
    sources = tuple(names[n] for n in node.all_input_nodes)
    if node.op == "placeholder":
        return Site(INPUT, None, ())
    if node.op == "call_module":
        module = body.get_submodule(str(node.target))
        if not isinstance(module, (*LEAVES, *TRANSPARENT)):
            raise UnsupportedError(
                f"{node.target}: found a {type(module).__name__}, expected layers and neurons of trainer"
            )
        return Site(str(node.target), module, sources)
    if node.target in (operator.add, operator.iadd, torch.add, "add", "add_") and len(sources) == 2:
        return Site(node.name, None, sources)
    raise UnsupportedError(f"{node.name}: found the operation {node.target}, expected only modules and '+'")


def populations(net: SpikingNet) -> dict[str, tuple[Afferent, ...]]:
    """The synapses of each population, in order of execution, under the names of ``net.neurons()``."""
    found = sites(net.body)
    out: dict[str, tuple[Afferent, ...]] = {}
    for site in found.values():
        if isinstance(site.module, Recurrent):
            own = Afferent(f"{site.name}.linear", site.module.linear, 1.0, False)
            out[f"{site.name}.neuron"] = (*_afferents(site.sources[0], found, net), own)
        elif isinstance(site.module, Neuron):
            out[site.name] = _afferents(site.sources[0], found, net)
    return out


def _afferents(name: str, found: dict[str, Site], net: SpikingNet) -> tuple[Afferent, ...]:
    """Walk back from a population's current to the synapses that make it."""
    site = found[name]
    if isinstance(site.module, Synapse):
        factor, from_input = _unit(site.sources[0], found, net)
        return (Afferent(name, site.module, factor, from_input),)
    if isinstance(site.module, SumPool | AvgPool):
        raise UnsupportedError(f"{name}: found a sum or mean of currents, expected it after a neuron")
    if site.name == INPUT or isinstance(site.module, Neuron | Recurrent):
        raise UnsupportedError(f"{name}: found spikes added to a current, expected a Skip between them")
    return tuple(a for source in site.sources for a in _afferents(source, found, net))


def _unit(name: str, found: dict[str, Site], net: SpikingNet) -> tuple[float, bool]:
    """Real value of one integer unit at a site that carries spikes or input, and whether it is input."""
    site = found[name]
    if site.name == INPUT:
        return net.input.scale, True
    if isinstance(site.module, Neuron) and site.module.firing.fire is Fire.SILENT:
        raise UnsupportedError(f"{name}: found synapses behind a population that never fires, expected none")
    if isinstance(site.module, Neuron | Recurrent):
        return 1.0, False
    if isinstance(site.module, Synapse | BatchNorm):
        raise UnsupportedError(f"{name}: found two linear maps in a row, expected a neuron between them")
    if isinstance(site.module, Pool):
        _check_pool(name, site.module, found[site.sources[0]], net)
    units = [_unit(source, found, net) for source in site.sources]
    if len(set(units)) > 1:
        raise UnsupportedError(f"{name}: found summands of different units {units}, expected one unit")
    factor, from_input = units[0]
    if isinstance(site.module, AvgPool):
        factor /= site.module.area(len(net.input.shape) == 2)
    return factor, from_input


def _check_pool(name: str, pool: Pool, source: Site, net: SpikingNet) -> None:
    """Refuse pools of spikes that no address map and no single maximum can express."""
    kernel, stride, padding = pool.window(len(net.input.shape) == 2)
    if isinstance(pool, MaxPool):
        summed = source.module is None and source.name != INPUT
        if summed or isinstance(source.module, SumPool | AvgPool):
            raise UnsupportedError(f"{name}: found a max pool of sums, expected one of a population's spikes")
        if source.name == INPUT and net.input.signed:
            raise UnsupportedError(f"{name}: found a max pool of signed input, expected it behind neurons")
    elif kernel != stride or padding != (0, 0):
        raise UnsupportedError(
            f"{name}: found kernel {kernel}, stride {stride}, padding {padding} of a sum or mean, "
            "expected stride equal to kernel and no padding"
        )


def output_population(net: SpikingNet) -> str:
    """Name of the population that is read out.

    Raises:
        ModelError: the body does not end in a population that fits the readout.
    """
    last = list(sites(net.body).values())[-1]
    if isinstance(last.module, Recurrent):
        return f"{last.name}.neuron"
    if not isinstance(last.module, Neuron):
        raise ModelError(f"{last.name}: found a body that does not end in a neuron, expected IF, LIF or LI")
    return last.name

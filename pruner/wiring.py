"""Which layers of any torch module drive which spiking neurons: found by tracing one sample.

The sample is run once and the graph that autograd records is walked back from the input of every neuron
to the layers whose outputs it is made of, through batch norms, pools, sums and reshapes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pruner.probe import Membrane, NamedProbe, Probe, probe
from runtime.errors import ModelError
from trainer.neuron import Neuron
from trainer.recurrent import Recurrent

Node = Any
"""A node of the autograd graph; torch gives it no public type."""

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Wiring:
    """Layers by name, populations by name, and which populations each layer drives.

    ``readouts`` are the layers nearest to the output.
    """

    layers: Mapping[str, nn.Module]
    probes: Mapping[str, Probe]
    driven: Mapping[str, tuple[str, ...]]
    readouts: frozenset[str]


def trace(module: nn.Module, sample: Any, named: Mapping[str, Membrane] | None = None) -> Wiring:
    """The wiring of ``module``, which is left as it was. A tuple ``sample`` is several arguments.

    ``named`` says, by layer, which neuron a layer drives, in place of what is traced.

    Raises:
        ModelError: the sample does not run, no layer is called, or a name is unknown.
    """
    named = named or {}
    probes = _probes(module, named)
    candidates = dict(_candidates(module))
    seen = _run(module, sample, candidates.keys(), probes.keys())
    layers = {name: layer for name, layer in candidates.items() if name in seen.layers}
    if not layers:
        raise ModelError(
            "network: found no trained linear or convolution layer in a call, expected one to prune"
        )
    if unknown := named.keys() - layers.keys():
        raise ModelError(f"layer {min(unknown)!r}: found no such layer, expected one of {', '.join(layers)}")
    driven = {name: _driven(name, seen, named, set(probes)) for name in layers}
    return Wiring(layers, probes, driven, frozenset(seen.readouts() & layers.keys()))


def _candidates(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers whose weight is a parameter of their own that is being trained."""
    owners: dict[int, str] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, Recurrent):
            raise ModelError(f"{name}: found a Recurrent outside a SpikingNet, expected it inside one")
        if not isinstance(layer, LAYERS):
            continue
        weight = layer._parameters.get("weight")
        if weight is None:
            raise ModelError(
                f"layer {name!r}: found a weight that is computed, expected a parameter of its own"
            )
        if id(weight) in owners:
            raise ModelError(f"layer {name!r}: found the weight of {owners[id(weight)]!r}, expected its own")
        owners[id(weight)] = name
        if weight.requires_grad:
            yield name, layer


def _probes(module: nn.Module, named: Mapping[str, Membrane]) -> dict[str, Probe]:
    found = {name: p for name, m in module.named_modules() if (p := probe(m)) is not None}
    modules = dict(module.named_modules())
    for layer, membrane in named.items():
        if membrane.neuron not in modules:
            known = ", ".join(name for name in modules if name)
            raise ModelError(f"neuron {membrane.neuron!r} of {layer!r}: found none, expected one of {known}")
        if membrane.attribute is not None:
            found[membrane.neuron] = NamedProbe(modules[membrane.neuron], membrane)
        elif membrane.neuron not in found:
            kind = type(modules[membrane.neuron]).__name__
            raise ModelError(
                f"neuron {membrane.neuron!r}: found a {kind}, which is not recognised, expected the "
                "attribute that holds its membrane before reset"
            )
    return found


@dataclass
class _Seen:
    """What one run left in the autograd graph; holding a node keeps its identity."""

    layers: dict[str, list[Node]] = field(default_factory=dict)
    inputs: dict[str, list[Node]] = field(default_factory=dict)
    outputs: dict[Node, str] = field(default_factory=dict)
    ends: list[Node] = field(default_factory=list)
    owner: dict[Node, str] = field(default_factory=dict)

    def behind(self, neuron: str) -> set[str]:
        """Layers that a neuron's input is made of, up to the neurons before them."""
        found = set()
        for node in _walk(self.inputs.get(neuron, []), lambda n: n in self.owner or n in self.outputs):
            if node in self.owner:
                found.add(self.owner[node])
        return found

    def readouts(self) -> set[str]:
        """Layers behind the output with at most one population between."""
        found, last = set(), set()
        for node in _walk(self.ends, lambda n: n in self.owner or n in self.outputs):
            if node in self.owner:
                found.add(self.owner[node])
            elif node in self.outputs:
                last.add(self.outputs[node])
        for neuron in last:
            found |= self.behind(neuron)
        return found


def _walk(starts: list[Node], stop: Callable[[Node], bool]) -> Iterator[Node]:
    """Nodes reachable backwards from ``starts``, not looking behind those where ``stop`` holds."""
    waiting, visited = [node for node in starts if node is not None], set()
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        yield node
        if not stop(node):
            waiting += [before for before, _ in node.next_functions if before is not None]


def _run(module: nn.Module, sample: Any, layers: Set[str], neurons: Set[str]) -> _Seen:
    """Run a copy of the module on the sample with every layer and neuron watched."""
    double = _double(module)
    seen = _Seen()
    silent = {name for name, m in double.named_modules() if isinstance(m, Neuron)}
    for name, part in double.named_modules():
        if name in layers:
            part.register_forward_hook(_keep_layer(seen, name))
        elif name in neurons | silent:
            part.register_forward_pre_hook(_keep_input(seen, name))
            part.register_forward_hook(_keep_outputs(seen, name))
    arguments = sample if isinstance(sample, tuple) else (sample,)
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            seen.ends = [t.grad_fn for t in _tensors(double(*arguments))]
    except Exception as error:
        # a user's forward can raise anything
        reason = " ".join(str(error).split())
        raise ModelError(f"sample: found {reason} when tracing, expected what one call takes") from error
    return seen


def _double(module: nn.Module) -> nn.Module:
    """A copy in training mode, its batch norms in evaluation mode: one sample has no statistics."""
    # membranes left from an earlier call belong to a graph, which cannot be copied
    state = [t for part in module.modules() for t in _tensors([part.__dict__, part._buffers])]
    left = {id(t): t.detach().clone() for t in state if t.grad_fn is not None}
    double = copy.deepcopy(module, left)
    double.train()
    for part in double.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()
    return double


def _keep_layer(seen: _Seen, name: str) -> Callable[..., None]:
    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        for tensor in _tensors(output):
            if tensor.grad_fn is not None:
                seen.layers.setdefault(name, []).append(tensor.grad_fn)
                seen.owner[tensor.grad_fn] = name

    return after


def _keep_input(seen: _Seen, name: str) -> Callable[..., None]:
    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.inputs.setdefault(name, []).extend(t.grad_fn for t in _tensors(inputs[:1]))

    return before


def _keep_outputs(seen: _Seen, name: str) -> Callable[..., None]:
    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        for tensor in _tensors(output):
            if tensor.grad_fn is not None:
                seen.outputs[tensor.grad_fn] = name

    return after


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _driven(name: str, seen: _Seen, named: Mapping[str, Membrane], neurons: set[str]) -> tuple[str, ...]:
    if name in named:
        return (named[name].neuron,)
    inside = tuple(neuron for neuron in sorted(neurons) if name.startswith(f"{neuron}."))
    return inside or tuple(neuron for neuron in seen.inputs if name in seen.behind(neuron))

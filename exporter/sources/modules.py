"""A torch network of another framework as a graph: its modules, walked in the order in which they run.

The chain is what the modules say, not what ``forward`` says: every module reads the one before it. Of all but
an ``nn.Sequential`` the order is taken from one call on zeros. What a framework means by its neurons is in
``snntorch.py`` and ``spikingjelly.py``; neither framework is imported: classes are told by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exporter.check import check
from exporter.graph import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Reals,
)
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Coding, Fire, FloatNeuron, InputSpec, Readout


@dataclass(frozen=True)
class Cell:
    """A population as a framework means it. ``gain`` multiplies the current that enters; ``own`` are its
    weights onto itself, heard one step late, with their bias."""

    model: FloatNeuron
    gain: float = 1.0
    own: tuple[Reals, Reals | None] | None = None


Makers = dict[str, Callable[[str, Any], Cell]]
"""How a framework's neurons are read, by class name."""

PASSED = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "Identity")
"""Modules that change nothing in evaluation."""


def graph_from_modules(
    net: nn.Module,
    *,
    shape: tuple[int, ...] | None = None,
    n_steps: int = 100,
    readout: Readout | None = None,
    spec: InputSpec | None = None,
    classes: tuple[str, ...] = (),
) -> Graph:
    """Float graph of a chain of snnTorch or SpikingJelly modules.

    ``shape`` of one step of input as the modules take it, without the batch; None: that of ``spec``, or of a
    first linear layer. ``spec``: what it is fed, by default events over ``n_steps``. ``readout``: by default
    spike counts, or the last membrane of a silent output. ``UnsupportedError`` or ``ModelError`` names the
    module that cannot be said here.
    """
    modules = dict(net.named_modules())
    sides = shape or (spec.shape if spec else _first_shape(modules))
    if spec is None:
        mapped = (sides[0], 1, sides[1]) if len(sides) == 2 else sides
        spec = InputSpec(mapped, Coding.EVENTS, n_steps)
    nodes: list[Node] = [Input("input", spec)]
    for name, module in _in_order(net, sides):
        for node in _nodes(name, module, nodes):
            nodes.append(node)
    last = nodes[-1]
    if not isinstance(last, Neuron):
        raise UnsupportedError(f"{last.name}: found it last, expected a neuron at the end of the network")
    assert isinstance(last.model, FloatNeuron)
    default = Readout.MEMBRANE_LAST if last.model.fire is Fire.SILENT else Readout.COUNT
    graph = Graph(tuple(nodes), last.name, readout or default, classes, {"imported.from": _origin(net)})
    check(graph)
    return graph


def _first_shape(modules: dict[str, nn.Module]) -> tuple[int, ...]:
    first = next((m for m in modules.values() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))), None)
    if not isinstance(first, nn.Linear):
        raise ModelError("network: found no shape of its input, expected --shape, as 1,28,28")
    return (first.in_features,)


def _origin(net: nn.Module) -> str:
    packages = {type(module).__module__.split(".")[0] for module in net.modules()}
    return ", ".join(sorted(packages & set(_frameworks()))) or "torch"


def _frameworks() -> dict[str, Makers]:
    from exporter.sources import snntorch, spikingjelly

    return {"snntorch": snntorch.MAKERS, "spikingjelly": spikingjelly.MAKERS}


def _neuron_maker(module: nn.Module) -> Callable[[str, Any], Cell] | None:
    """Of the framework that the module, or a class it derives from, belongs to."""
    found = _frameworks()
    for kind in type(module).__mro__:
        makers = found.get(kind.__module__.split(".")[0])
        if makers and kind.__name__ in makers:
            return makers[kind.__name__]
    return None


def _in_order(net: nn.Module, shape: tuple[int, ...]) -> list[tuple[str, nn.Module]]:
    if isinstance(net, nn.Sequential):
        return list(_leaves("", net))
    leaves = dict(_leaves("", net))
    order: list[str] = []
    repeated: list[str] = []

    def called(name: str) -> Callable[..., None]:
        return lambda *_: (repeated if name in order else order).append(name)

    handles = [module.register_forward_hook(called(name)) for name, module in leaves.items()]
    was_training = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, *shape))
    except Exception as error:
        raise UnsupportedError(
            f"{type(net).__name__}: found {type(error).__name__} ({error}) on a call with zeros of shape"
            f" {(1, *shape)}, expected a forward of one step, or an nn.Sequential"
        ) from error
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    return [(name, leaves[name]) for name in order]


def _leaves(prefix: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules that are walked no deeper: neurons (whatever they hold) and modules without children."""
    if prefix and (_neuron_maker(module) is not None or not any(True for _ in module.children())):
        yield prefix, module
        return
    for name, child in module.named_children():
        yield from _leaves(f"{prefix}.{name}" if prefix else name, child)


def _nodes(name: str, module: nn.Module, before: list[Node]) -> list[Node]:
    """What a module becomes; of a neuron whose current has a gain, the weights before it change in place."""
    source = before[-1].name
    maker = _neuron_maker(module)
    if maker is not None:
        return _population(name, maker(name, module), before)
    if type(module).__name__ in PASSED:
        return []
    for kind, make in MAKERS.items():
        if isinstance(module, kind):
            return [make(name, module, source)]
    known = sorted(
        {kind.__name__ for kind in MAKERS} | {n for makers in _frameworks().values() for n in makers}
    )
    raise UnsupportedError(f"{name}: found a {type(module).__name__}, expected one of {', '.join(known)}")


def _population(name: str, found: Cell, before: list[Node]) -> list[Node]:
    if found.gain != 1.0:
        before[-1] = _times(before[-1], found.gain, name)
    source = before[-1].name
    if found.own is None:
        return [Neuron(name, source, found.model)]
    weight, bias = found.own
    own = Linear(f"{name}.own", name, weight, bias, delay=1)
    return [own, Add(f"{name}.sum", (source, own.name)), Neuron(name, f"{name}.sum", found.model)]


def _times(node: Node, gain: float, reader: str) -> Node:
    """The node with its current times ``gain``."""
    if isinstance(node, Linear | Conv):
        weight: Reals = np.asarray(node.weight * gain, np.float64)
        return replace(node, weight=weight, bias=None if node.bias is None else node.bias * gain)
    if isinstance(node, BatchNorm):
        return replace(node, gain=node.gain * gain, offset=node.offset * gain)
    raise UnsupportedError(
        f"{reader}: found a current times {gain:g} behind {node.name}, expected weights or a batch norm there"
    )


def numbers(name: str, what: str, tensor: Tensor) -> Reals:
    """A parameter in float64; ``ModelError`` where one is not finite."""
    found: Reals = tensor.detach().cpu().numpy().astype(np.float64)
    if found.size == 0 or not np.isfinite(found).all():
        raise ModelError(f"{name}: found {what} that is empty or not finite, expected real numbers")
    return found


def _bias(name: str, module: Any) -> Reals | None:
    return None if module.bias is None else numbers(name, "bias", module.bias)


def _linear(name: str, module: nn.Linear, source: str) -> Node:
    return Linear(name, source, numbers(name, "weight", module.weight), _bias(name, module))


def _conv(name: str, module: nn.Conv1d | nn.Conv2d, source: str) -> Node:
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise UnsupportedError(
            f"{name}: found padding {module.padding!r} ({module.padding_mode}), expected numbers and zeros"
        )
    weight = numbers(name, "weight", module.weight)
    return Conv(
        name,
        source,
        weight if weight.ndim == 4 else weight[:, :, None, :],
        stride=_pair(module.stride, 1),
        padding=_pair(module.padding, 0),
        dilation=_pair(module.dilation, 1),
        groups=module.groups,
        bias=_bias(name, module),
    )


def _pair(found: int | tuple[int, ...], height: int) -> tuple[int, int]:
    sides = (found, found) if isinstance(found, int) else tuple(found)
    return (sides[0], sides[1]) if len(sides) == 2 else (height, sides[0])


def _norm(name: str, module: Any, source: str) -> Node:
    if module.running_mean is None or module.running_var is None:
        raise ModelError(f"{name}: found a batch norm without running statistics, expected them")
    gain = 1.0 / np.sqrt(numbers(name, "variance", module.running_var) + module.eps)
    if module.weight is not None:
        gain = gain * numbers(name, "weight", module.weight)
    offset = -numbers(name, "mean", module.running_mean) * gain
    return BatchNorm(name, source, gain, offset + (0.0 if module.bias is None else _bias(name, module)))


def _pool(kind: PoolKind) -> Callable[[str, Any, str], Node]:
    def made(name: str, module: Any, source: str) -> Node:
        if module.ceil_mode or getattr(module, "dilation", 1) not in (1, (1, 1)):
            raise UnsupportedError(f"{name}: found a pool with ceil_mode or dilation, expected neither")
        stride = module.kernel_size if module.stride is None else module.stride
        sides = [_square(one) for one in (module.kernel_size, stride, module.padding)]
        if kind is PoolKind.AVERAGE and sides[2] != (0, 0):
            raise UnsupportedError(f"{name}: found an average pool with padding, expected none")
        return Pool(name, source, kind, *sides)

    return made


def _square(found: int | tuple[int, int]) -> tuple[int, int]:
    return (found, found) if isinstance(found, int) else (found[0], found[1])


def _flatten(name: str, module: nn.Flatten, source: str) -> Node:
    if module.end_dim != -1 or module.start_dim not in (1, 2):
        raise UnsupportedError(f"{name}: found a Flatten of some axes, expected one of all but the batch")
    return Flatten(name, source)


MAKERS: dict[type[nn.Module], Callable[[str, Any, str], Node]] = {
    nn.Linear: _linear,
    nn.Conv1d: _conv,
    nn.Conv2d: _conv,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.AvgPool2d: _pool(PoolKind.AVERAGE),
    nn.MaxPool2d: _pool(PoolKind.MAX),
    nn.Flatten: _flatten,
}

"""Where a neuron shows its membrane before reset: ours, snnTorch's, SpikingJelly's, or as a user names it.

Libraries are recognised by what their neurons can do, never imported. What a library returns or keeps
may be the membrane after reset, so each is asked at the moment it fires.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pruner.criticality import Kernel
from runtime.errors import ModelError
from runtime.spec import Fire
from trainer.neuron import Neuron
from trainer.surrogate import Surrogate, SurrogateShape

See = Callable[[Tensor], None]
"""Takes membranes before reset, any number of leading axes before the neurons'."""


class Probe(Protocol):
    """One population. ``watch`` calls ``see`` at every step or pass until the returned function is called."""

    @property
    def module(self) -> nn.Module: ...
    def watch(self, see: See) -> Callable[[], None]: ...
    def threshold(self) -> Tensor:
        """One value, one per channel or one per neuron."""
        ...

    def kernel(self, shape: SurrogateShape | None, bandwidth: float) -> Kernel:
        """The criticality kernel: the stand-in derivative the neuron trains with, or one of ``shape``."""
        ...


@dataclass(frozen=True)
class Derivative:
    """The derivative that a library's spike function hands to autograd, ``bandwidth`` times as wide."""

    spike: Callable[[Tensor], Tensor]
    bandwidth: float = 1.0

    def gradient(self, distance: Tensor) -> Tensor:
        """The derivative at ``distance``, any shape."""
        with torch.enable_grad():
            # single precision, as trained with: some libraries' functions know no other
            d = (distance.detach() / self.bandwidth).float().requires_grad_()
            (slope,) = torch.autograd.grad(self.spike(d).sum(), d)
        out: Tensor = slope.to(distance.dtype) / self.bandwidth
        return out


def foreign_kernel(
    spike: Callable[[Tensor], Tensor], shape: SurrogateShape | None, bandwidth: float
) -> Kernel:
    """The library's own derivative, or one of ours as wide as the arctan with the same peak."""
    own = Derivative(spike)
    if shape is None:
        return replace(own, bandwidth=bandwidth)
    peak = float(own.gradient(torch.zeros(())))
    width = Surrogate().width * (Surrogate().peak / peak if peak > 0 else 1.0)
    return Surrogate(shape, width * bandwidth)


@dataclass(frozen=True)
class OurProbe:
    """A neuron of ``trainer.neuron``."""

    module: Neuron

    def watch(self, see: See) -> Callable[[], None]:
        def observer(u: Tensor, spikes: Tensor) -> None:
            see(u)

        self.module.observers.append(observer)
        return lambda: self.module.observers.remove(observer)

    def threshold(self) -> Tensor:
        return torch.tensor(self.module.firing.threshold)

    def kernel(self, shape: SurrogateShape | None, bandwidth: float) -> Kernel:
        own = self.module.surrogate
        return replace(own, shape=shape or own.shape, width=own.width * bandwidth)


@dataclass(frozen=True)
class SnnTorchProbe:
    """An snnTorch neuron: ``fire(mem)`` takes the membrane before reset, whichever reset delay it has."""

    module: Any

    def watch(self, see: See) -> Callable[[], None]:
        fire, inhibited = self.module.fire, self.module.fire_inhibition

        def seen_fire(mem: Tensor) -> Tensor:
            see(mem)
            out: Tensor = fire(mem)
            return out

        def seen_inhibition(batch_size: int, mem: Tensor) -> Tensor:
            see(mem)
            out: Tensor = inhibited(batch_size, mem)
            return out

        self.module.__dict__.update(fire=seen_fire, fire_inhibition=seen_inhibition)

        def restore() -> None:
            for name in ("fire", "fire_inhibition"):
                del self.module.__dict__[name]

        return restore

    def threshold(self) -> Tensor:
        return torch.as_tensor(self.module.threshold).reshape(-1)

    def kernel(self, shape: SurrogateShape | None, bandwidth: float) -> Kernel:
        return foreign_kernel(self.module.spike_grad, shape, bandwidth)


class SeenSurrogate(nn.Module):
    """Stands before a SpikingJelly surrogate function and shows what it is asked: membrane minus threshold.

    Being of no type that the library knows, it also sends the neuron down its plain torch path, where
    fused ones never show a membrane.
    """

    def __init__(self, surrogate: nn.Module, see: See) -> None:
        super().__init__()
        self.surrogate = surrogate
        self.see = see

    def forward(self, distance: Tensor) -> Tensor:
        self.see(distance)
        out: Tensor = self.surrogate(distance)
        return out


@dataclass(frozen=True)
class SpikingJellyProbe:
    """A SpikingJelly neuron, single- or multi-step: its ``v`` is the membrane after reset, so its surrogate
    function is watched."""

    module: Any

    def watch(self, see: See) -> Callable[[], None]:
        surrogate = self.module.surrogate_function
        threshold = self.threshold()

        def see_membrane(distance: Tensor) -> None:
            see(distance.detach() + threshold.to(distance.device))

        self.module.surrogate_function = SeenSurrogate(surrogate, see_membrane)

        def restore() -> None:
            self.module.surrogate_function = surrogate

        return restore

    def threshold(self) -> Tensor:
        return torch.as_tensor(self.module.v_threshold).reshape(-1)

    def kernel(self, shape: SurrogateShape | None, bandwidth: float) -> Kernel:
        return foreign_kernel(self.module.surrogate_function, shape, bandwidth)


@dataclass(frozen=True)
class Membrane:
    """A population by name: module ``neuron``, whose ``attribute`` holds the membrane before reset after each
    of its calls. Without an attribute the neuron must be one that is recognised.

    ``surrogate`` is the stand-in derivative it trains with.
    """

    neuron: str
    attribute: str | None = None
    threshold: float | Tensor = 1.0
    surrogate: Surrogate = field(default_factory=Surrogate)


@dataclass(frozen=True)
class NamedProbe:
    """A neuron of a user's own, read as its ``Membrane`` says."""

    module: nn.Module
    where: Membrane

    def watch(self, see: See) -> Callable[[], None]:
        def after(module: nn.Module, inputs: Any, output: Any) -> None:
            u = getattr(module, str(self.where.attribute), None)
            if not isinstance(u, Tensor):
                raise ModelError(
                    f"neuron {self.where.neuron!r}: found {type(u).__name__} in {self.where.attribute!r}, "
                    "expected the tensor of its membranes before reset"
                )
            see(u.detach())

        return self.module.register_forward_hook(after).remove

    def threshold(self) -> Tensor:
        return torch.as_tensor(self.where.threshold).reshape(-1)

    def kernel(self, shape: SurrogateShape | None, bandwidth: float) -> Kernel:
        own = self.where.surrogate
        return replace(own, shape=shape or own.shape, width=own.width * bandwidth)


def probe(module: nn.Module) -> Probe | None:
    """How to see into a neuron; None for a module that is no spiking neuron we recognise."""
    if isinstance(module, Neuron):
        return None if module.firing.fire is Fire.SILENT else OurProbe(module)
    if _has(module, "fire", "fire_inhibition", "mem_reset", "spike_grad", "threshold"):
        return SnnTorchProbe(module)
    if _has(module, "surrogate_function", "v_threshold") and isinstance(
        getattr(module, "surrogate_function", None), nn.Module
    ):
        return SpikingJellyProbe(module)
    return None


def _has(module: nn.Module, *names: str) -> bool:
    return all(hasattr(module, name) for name in names)

"""``attach``: prunes anyone's torch module in anyone's training loop, through the optimizer's own hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.criticality import CriticalityMeter
from pruner.evidence import Need
from pruner.gauges import Gauges
from pruner.log import EventRecord
from pruner.mask import MaskSet
from pruner.probe import Membrane
from pruner.subject import NetSubject, Subject
from pruner.topology import Maskable
from pruner.wiring import Wiring, trace
from runtime.errors import ModelError
from trainer.models import SpikingNet
from trainer.surrogate import SurrogateShape
from trainer.synapse import Synapse


class Attached:
    """A pruning run that lives in an optimizer's hooks: every ``optimizer.step()`` is one step of it."""

    def __init__(self, pruning: Pruning, optimizer: torch.optim.Optimizer) -> None:
        self._pruning = pruning
        self._steps = 0
        self._hooks = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        )

    @property
    def masks(self) -> MaskSet:
        """The masks now; ``masks.save(path)`` keeps them."""
        return self._pruning.masks

    @property
    def events(self) -> Sequence[EventRecord]:
        """What every pruning event so far did."""
        return tuple(self._pruning.events)

    def remove(self) -> None:
        """Let go of the optimizer. Dead weights are zero then, and nothing holds them there any more."""
        for hook in self._hooks:
            hook.remove()

    def _before(self, optimizer: torch.optim.Optimizer, arguments: Any, keywords: Any) -> None:
        self._pruning.take_gradients()

    def _after(self, optimizer: torch.optim.Optimizer, arguments: Any, keywords: Any) -> None:
        self._pruning.advance(optimizer, self._steps)
        self._steps += 1


def attach(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    sample: Any,
    config: PruneConfig,
    *,
    steps: int,
    membranes: Mapping[str, Membrane] | None = None,
    log: Path | None = None,
) -> Attached:
    """Prune ``module`` while ``optimizer`` trains it for ``steps`` steps; the loop stays as it is.

    ``module`` is any torch module whose linear and convolution layers drive spiking neurons of ours,
    snnTorch or SpikingJelly; it is not changed but for its weights. ``sample`` is what one call of it
    takes (a tuple for several arguments), traced once to find the membrane behind every layer;
    ``membranes`` names those that cannot be found, by layer.

    Raises:
        ConfigError: the plan does not fit the run.
        ModelError: nothing to prune or, for a rule that needs it, no membrane is found.
    """
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ModelError("optimizer: found LBFGS, which takes gradients inside its step, expected another")
    if config.search == "upr" and not isinstance(module, SpikingNet):
        # its penalty counts positions in outputs whose axes it must know
        raise ModelError("prune.search: found 'upr' for a module of another make, expected a SpikingNet")
    subject = NetSubject(module) if isinstance(module, SpikingNet) else _foreign(module, sample, membranes)
    if isinstance(subject, ModuleSubject) and Need.CRITICALITY in config.needs():
        subject.check_membranes()
    pruning = Pruning(config, log)
    pruning.begin(subject, steps)
    return Attached(pruning, optimizer)


def _foreign(module: nn.Module, sample: Any, membranes: Mapping[str, Membrane] | None) -> Subject:
    return ModuleSubject(module, trace(module, sample, membranes))


class Carrier:
    """A torch layer as something that can be pruned: its forward is its own, its dead weights are zero."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.groups = int(getattr(module, "groups", 1))
        self.mask: Tensor | None = None

    @property
    def weight(self) -> nn.Parameter:
        weight: nn.Parameter = self.module.weight  # type: ignore[assignment]
        return weight

    def set_mask(self, mask: Tensor | None) -> None:
        self.mask = mask


@dataclass(frozen=True)
class ModuleSubject:
    """A traced module as the pruner sees it."""

    module: nn.Module
    wiring: Wiring

    @property
    def layers(self) -> Mapping[str, Maskable]:
        # layers of ours keep their mask themselves, so that it is exported and saved with them
        return {name: _carrier(layer) for name, layer in self.wiring.layers.items()}

    @property
    def readouts(self) -> frozenset[str]:
        return self.wiring.readouts

    def gauges(self, shape: SurrogateShape | None, bandwidth: float) -> Gauges:
        return ModuleGauges(self.wiring, shape, bandwidth)

    def check_membranes(self) -> None:
        """Refuse a module in which no layer drives a spiking neuron: all criticalities would be 1."""
        if not any(name in self.wiring.probes for driven in self.wiring.driven.values() for name in driven):
            kinds = sorted({type(m).__name__ for m in self.module.modules()})
            raise ModelError(
                f"network: found no spiking neuron behind a layer among {', '.join(kinds)}, expected one of "
                "ours, snnTorch's or SpikingJelly's, or membranes by name"
            )


def _carrier(layer: nn.Module) -> Maskable:
    return layer if isinstance(layer, Synapse) else Carrier(layer)


class ModuleGauges(Gauges):
    """Meters in a traced module; they measure calls in training mode."""

    def __init__(self, wiring: Wiring, shape: SurrogateShape | None, bandwidth: float) -> None:
        outputs = {name: _weight(layer).shape[0] for name, layer in wiring.layers.items()}
        super().__init__(outputs, wiring.driven)
        meters = {}
        for name, probe in wiring.probes.items():
            driving = [layer for layer, driven in wiring.driven.items() if name in driven]
            if not driving:
                continue
            meters[name] = CriticalityMeter(probe.threshold, probe.kernel(shape, bandwidth))
            see = _seen(meters[name], wiring.layers[driving[0]], driving[0])
            self._removers.append(probe.watch(_training_only(probe.module, see)))
        self._criticality = meters
        for name, layer in wiring.layers.items():
            self._removers.append(layer.register_forward_pre_hook(self._hear(name)).remove)

    def _hear(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if module.training:
                x = inputs[0].detach()
                lead = x.dim() - _axes(module)
                self._activity[name].see(x.reshape(1, -1, *x.shape[lead:]))

        return before


def _training_only(module: nn.Module, see: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    def in_training(u: Tensor) -> None:
        if module.training:
            see(u)

    return in_training


def _seen(meter: CriticalityMeter, layer: nn.Module, name: str) -> Callable[[Tensor], None]:
    """Hands membranes to the meter as (1, samples and steps, channels, *positions)."""
    outputs = _weight(layer).shape[0]

    def see(u: Tensor) -> None:
        lead = u.dim() - _axes(layer)
        if not (lead >= 0 and u.shape[lead] == outputs):
            # flattened between layer and neuron
            lead = u.dim() - 1
        if u.shape[lead] % outputs:
            raise ModelError(
                f"layer {name!r}: found a membrane of shape {tuple(u.shape)} behind its {outputs} outputs, "
                "expected them on one axis"
            )
        flat = u.detach().reshape(1, -1, *u.shape[lead:])
        meter(flat, flat)

    return see


def _axes(layer: nn.Module) -> int:
    """Axes of one sample at one step in the layer's output."""
    return 1 if isinstance(layer, nn.Linear) else _weight(layer).dim() - 1


def _weight(layer: nn.Module) -> Tensor:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight

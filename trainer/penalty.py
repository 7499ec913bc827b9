"""A price on synaptic operations: spikes times the synapses they would drive."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainer.models import SpikingNet
from trainer.recurrent import Recurrent
from trainer.structure import Afferent, populations


class ActivityPenalty:
    """Counts, with a gradient, the synaptic operations of the last forward.

    Every layer between populations is watched; spikes of the input carry no gradient and are left out.
    ``share()`` is operations per sample over those of a net that always fires: 0 to 1 (more behind a sum
    pool). Its gradient falls on the neurons with the largest surviving fan-out.
    """

    def __init__(self, net: SpikingNet) -> None:
        self._inputs: dict[str, Tensor] = {}
        self._afferents = {
            a.name: a for group in populations(net).values() for a in group if not a.from_input
        }
        self._handles = [self._watch(net, name) for name in self._afferents]

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the layers whose operations count."""
        return tuple(self._afferents)

    def remove(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def share(self) -> Tensor:
        """Synaptic operations of the last forward over those of a net that always fires."""
        spent = torch.zeros(())
        possible = 0.0
        for name, x in self._inputs.items():
            afferent = self._afferents[name]
            reach = fan_out(afferent, x.shape[2:])
            spent = spent + (x.mean((0, 1)) / afferent.factor * reach).sum()
            possible += float(reach.sum())
        self._inputs.clear()
        return spent / max(possible, 1.0)

    def _watch(self, net: SpikingNet, name: str) -> RemovableHandle:
        parent = net.body.get_submodule(name.rpartition(".")[0])
        if isinstance(parent, Recurrent):
            # a recurrent layer is never called as a module: its input is the population's output
            def after(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
                self._inputs[name] = out

            return parent.register_forward_hook(after)

        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._inputs[name] = args[0]

        return self._afferents[name].synapse.register_forward_pre_hook(before)


def fan_out(afferent: Afferent, shape: torch.Size) -> Tensor:
    """Surviving synapses that an event at each place of ``shape`` drives."""
    synapse = afferent.synapse
    alive = synapse.weight.detach() != 0
    if synapse.mask is not None:
        alive &= synapse.mask != 0
    x = torch.zeros((1, *shape), device=alive.device, requires_grad=True)
    with torch.enable_grad():
        reached = synapse.apply_weight(x, alive.to(x.dtype), None).sum()
        (reach,) = torch.autograd.grad(reached, x)
    return reach[0]

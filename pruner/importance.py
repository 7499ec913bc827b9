"""How much a population's membranes matter to the scores: what makes layers comparable."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pruner.hessian import Passes, Site
from pruner.topology import prunable_layers
from pruner.trace import View
from trainer.held import held
from trainer.models import SpikingNet
from trainer.recurrent import Recurrent


def importances(net: SpikingNet, sites: Mapping[str, Site], passes: Passes, seed: int) -> dict[str, Tensor]:
    """Per population (channels,): the squared change of all scores, summed, per squared change of a membrane.

    One backward pass of scores under random signs, whose squared gradient has the sum over scores as its
    mean (Hutchinson 1990), through the surrogate gradient. A readout whose row is the score itself has 1.
    """
    found: dict[str, Tensor] = {}
    rest: dict[str, float] = {}
    layers = prunable_layers(net)
    for site in sites.values():
        if site.readout and site.trace.view is not View.ALL:
            found[site.population] = torch.ones(len(layers[site.name].weight), dtype=torch.float64)
        else:
            rest[site.population] = site.trace.beta
    return found | (_measured(net, rest, passes, seed) if rest else {})


def _measured(net: SpikingNet, betas: Mapping[str, float], passes: Passes, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    entries = {name: Entry(net, name, beta) for name, beta in betas.items()}
    seen = 0
    try:
        for x in passes.batches(net):
            with torch.enable_grad():
                scores = net.scores(net(x))
                signs = torch.randint(0, 2, scores.shape, generator=generator) * 2.0 - 1.0
                (scores * signs).sum().backward()  # type: ignore[no-untyped-call]
            net.zero_grad(set_to_none=True)
            for entry in entries.values():
                entry.add()
            seen += x.shape[1]
    finally:
        for entry in entries.values():
            entry.handle.remove()
    return {name: entry.total / seen for name, entry in entries.items()}


class Entry:
    """The gradient at the current that enters a population, squared and summed per channel."""

    def __init__(self, net: SpikingNet, population: str, beta: float) -> None:
        self.beta = beta
        self.total = torch.zeros((), dtype=torch.float64)
        self._current = torch.zeros(())
        module: nn.Module = net.body.get_submodule(population)
        owner = net.body.get_submodule(population.rpartition(".")[0])
        # a recurrent population's neuron is never called: its loop is
        self.handle = (owner if isinstance(owner, Recurrent) else module).register_forward_pre_hook(
            self._keep
        )

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        once = held(inputs[0])
        self._current = inputs[0] if once is None else once
        self._current.retain_grad()
        self._held = once is not None

    def add(self) -> None:
        """Take in the gradient of the latest backward pass."""
        gradient = self._current.grad
        assert gradient is not None
        if self._held:
            gradient = gradient[None]
        else:
            # what a membrane does at once: the current's gradient without its way through later membranes
            later = torch.cat([gradient[1:], torch.zeros_like(gradient[:1])])
            gradient = gradient - self.beta * later
        squares = gradient.double().square().flatten(3) if gradient.dim() > 3 else gradient.double().square()
        squares = squares.sum((0, 1, 3)) if squares.dim() == 4 else squares.sum((0, 1))
        self.total = self.total + squares

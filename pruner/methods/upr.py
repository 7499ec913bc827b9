"""Masks on weights and neurons under a price on synaptic operations (Shi et al. 2024, "Towards Energy
Efficient Spiking Neural Networks: An Unstructured Pruning Framework", ICLR 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruner.latent import Aim, Latent, Progress
from pruner.method import Begins, Method
from pruner.topology import Maskable

FIRST, LAST = 5.0, 1000.0
"""Temperature of the sigmoids at the start and the end of the search."""
OPEN = 0.5
"""First value of every mask variable: a weight starts at 0.92 of its size."""


class Upr(Latent):
    """w = v sigmoid(beta m) sigmoid(beta n): v the weight, m its mask, n that of the neuron it hears.

    m and n go down their loss gradient plus price x operations, by Adam at the weights' rate. A weight
    costs the positions it is used at, a neuron its fan-out. The first layer hears no neuron.
    """

    def __init__(self, layers: Mapping[str, Maskable]) -> None:
        super().__init__(layers)
        self._first = next(iter(layers))
        self._positions = dict.fromkeys(layers, 1)
        self._watchers = [_watch(layer, self._positions, name) for name, layer in layers.items()]
        self._pulls: dict[str, Tensor] = {}

    def enter(self, name: str, weight: Tensor) -> None:
        self.state[f"{name}.v"] = weight.clone()
        self.state[f"{name}.m"] = torch.full_like(weight, OPEN)
        if name != self._first:
            groups = getattr(self.layers[name], "groups", 1)
            self.state[f"{name}.n"] = torch.full((groups * weight.shape[1],), OPEN)
        self.state.setdefault("price", torch.zeros(()))
        self.state.setdefault("beta", torch.tensor(FIRST))

    def weight(self, name: str) -> Tensor:
        return self.state[f"{name}.v"] * self._gate(name)

    def before_step(self) -> None:
        """Split the gradient of w between v, m and n."""
        for watcher in self._watchers:
            watcher.remove()
        beta = self.state["beta"]
        for name, layer in self.layers.items():
            gradient = layer.weight.grad
            assert gradient is not None
            felt = gradient * self.state[f"{name}.v"]
            own = torch.sigmoid(beta * self.state[f"{name}.m"])
            heard = self._heard(name)
            self._pulls[f"{name}.m"] = felt * heard * beta * own * (1 - own)
            if f"{name}.n" in self.state:
                per_neuron = self._per_neuron(name, felt * own)
                gate = torch.sigmoid(beta * self.state[f"{name}.n"])
                self._pulls[f"{name}.n"] = per_neuron * beta * gate * (1 - gate)
            gradient.mul_(own * heard)
        if float(self.state["price"]) == 0.0:
            self.state["price"] = self._first_price()

    def after_step(self, progress: Progress) -> None:
        for name in self.layers:
            self.state[f"{name}.v"] += self.moved(name)
        for key, pull in self._pulls.items():
            self._descend(key, pull, progress.lr)
        self.state["beta"] = torch.tensor(FIRST * (LAST / FIRST) ** progress.done)
        self.show()

    def steer(self, aim: Aim, progress: Progress) -> None:
        """Double the price while more masks are open than planned, halve it while fewer are."""
        living = sum(int((self.score(name) > 0).sum()) for name in self.layers)
        self.state["price"] = self.state["price"] * (2.0 if living > aim.living else 0.5)

    def score(self, name: str) -> Tensor:
        """The lower of the weight's and its neuron's mask variable: both must be open."""
        own = self.state[f"{name}.m"].double()
        if f"{name}.n" not in self.state:
            return own
        return torch.minimum(own, self._spread(name, self.state[f"{name}.n"].double()).expand_as(own))

    def _descend(self, key: str, pull: Tensor, lr: float) -> None:
        """One Adam step of a mask variable on its loss gradient plus its price."""
        beta, value = self.state["beta"], self.state[key]
        name, kind = key.rsplit(".", 1)
        gate = torch.sigmoid(beta * value)
        operations = self._positions[name] * (1.0 if kind == "m" else float(self._fan_out(name)))
        gradient = pull + self.state["price"] * operations * beta * gate * (1 - gate)
        mean = self.state.setdefault(f"{key}.mean", torch.zeros_like(value))
        square = self.state.setdefault(f"{key}.square", torch.zeros_like(value))
        count = self.state.setdefault(f"{key}.count", torch.zeros(())).add_(1)
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient.square(), 0.001)
        step = (mean / (1 - 0.9**count)) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
        value -= lr * step

    def _first_price(self) -> Tensor:
        """The mean size of the loss gradients of mask variables over that of an operation's."""
        own = torch.sigmoid(self.state["beta"] * OPEN)
        slope = self.state["beta"] * own * (1 - own)
        sizes = [pull.abs().flatten() for key, pull in self._pulls.items() if key.endswith(".m")]
        return torch.cat(sizes).mean() / slope

    def _gate(self, name: str) -> Tensor:
        return torch.sigmoid(self.state["beta"] * self.state[f"{name}.m"]) * self._heard(name)

    def _heard(self, name: str) -> Tensor:
        """Gate of the neurons a layer hears, to broadcast over its weight."""
        if f"{name}.n" not in self.state:
            return torch.ones(())
        return self._spread(name, torch.sigmoid(self.state["beta"] * self.state[f"{name}.n"]))

    def _spread(self, name: str, values: Tensor) -> Tensor:
        """``values`` of presynaptic channels over the weights that hear them, group by group."""
        shape = self.layers[name].weight.shape
        groups = values.numel() // shape[1]
        spread = values.view(groups, 1, -1).expand(-1, shape[0] // groups, -1).reshape(shape[:2])
        return spread.view(*shape[:2], *[1] * (len(shape) - 2))

    def _per_neuron(self, name: str, felt: Tensor) -> Tensor:
        """Sums of a weight-shaped tensor over all that hears the same presynaptic channel."""
        groups = self.state[f"{name}.n"].numel() // felt.shape[1]
        per_channel = felt.reshape(*felt.shape[:2], -1).sum(-1)
        return per_channel.view(groups, -1, felt.shape[1]).sum(1).flatten()

    def _fan_out(self, name: str) -> int:
        weight: Tensor = self.layers[name].weight
        return weight.numel() // self.state[f"{name}.n"].numel()


def _watch(layer: object, positions: dict[str, int], name: str) -> RemovableHandle:
    """Note at how many positions a layer's weights are used, by its output (steps, batch, channels, ...)."""

    def note(module: nn.Module, inputs: object, out: Tensor) -> None:
        positions[name] = max(1, out.shape[3:].numel())

    assert isinstance(layer, nn.Module)
    return layer.register_forward_hook(note)


METHOD = Method(
    source="Shi et al. 2024, ICLR 2024 (UPR)",
    differs="a neuron's mask is one a channel and layer that hears it; the price starts at the size of the "
    "loss gradients and is doubled or halved at each event; the masks are cut at the exact count",
    keys={"search": "upr"},
    begins=Begins.UNTRAINED,
)

"""``Rewind``: sends a network back to an earlier state of its training after each pruning event."""

from __future__ import annotations

import base64

import torch
from safetensors.torch import load, save
from torch import Tensor, nn


class Rewind:
    """Keeps the network's values of one step, and puts them back, masked, without an optimiser's past.

    The run is a row of levels: up to each event, and after the last one. The learning rate runs its whole
    course in every level; later levels enter it where the values were kept.
    """

    def __init__(self, share: float, events: tuple[int, ...], total_steps: int) -> None:
        """``share`` of the first level at whose step the values are kept; ``events`` are steps."""
        self._starts = (0, *(event + 1 for event in events))
        self._ends = (*self._starts[1:], max(total_steps, self._starts[-1] + 1))
        self._step = int(share * self._starts[1])
        self._kept: dict[str, Tensor] = {}

    def course(self, step: int) -> tuple[int, int]:
        """Steps (first, end) of the learning rate's course in the level that ``step`` is in."""
        level = sum(step >= start for start in self._starts) - 1
        return self._starts[level] - (self._step if level else 0), self._ends[level]

    def reach(self, module: nn.Module, step: int) -> None:
        """Keep the values when ``step``, the coming one, is theirs."""
        if step == self._step and not self._kept:
            self._kept = {name: value.clone() for name, value in trained(module).items()}

    @torch.no_grad()
    def back(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the kept values back. The caller zeroes what its masks kill."""
        tensors = trained(module)
        for name, value in self._kept.items():
            tensors[name].copy_(value)
        optimizer.state.clear()

    def memory(self) -> str:
        """The kept values as text, for ``recall``."""
        return base64.b64encode(save(self._kept)).decode("ascii")

    def recall(self, memory: str) -> None:
        """Take back what ``memory`` gave; nothing when it is empty."""
        self._kept = dict(load(base64.b64decode(memory))) if memory else {}


def trained(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and running statistics by name, in place; masks are not among them."""
    return {n: v.detach() for n, v in module.state_dict().items() if not n.endswith(".mask")}

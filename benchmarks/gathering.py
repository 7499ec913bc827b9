"""What gathering criticality and activity costs a training step.

``python -m benchmarks.gathering`` trains two nets on random samples, one thread; steps without meters, with
criticality alone and with activity too take turns, in processor time. It writes
``docs/results/gathering.json``. A pruning run gathers in ``gather_steps`` steps before each event only.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.examples import versions
from pruner.meters import Meters
from runtime.spec import Coding, InputSpec, Readout
from trainer.layers import Conv2d, Flatten, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF
from trainer.surrogate import SurrogateShape

OUT = Path(__file__).parent.parent / "docs" / "results" / "gathering.json"
N_STEPS, BATCH, ROUNDS = 8, 128, 120


def mlp() -> SpikingNet:
    """784-800-10, constant input."""
    body = nn.Sequential(Linear(784, 800), LIF(2), Linear(800, 10), LI(3))
    spec = InputSpec((784,), Coding.DIRECT, N_STEPS, bits=8, scale=1 / 255, constant=True)
    return SpikingNet(body, spec, Readout.MEMBRANE_SUM)


def conv() -> SpikingNet:
    """Two convolutions of 16 and 32 channels on 28 x 28 events, and a readout."""
    layers = (Conv2d(1, 16, 3, padding=1), LIF(2), Conv2d(16, 32, 3, stride=2, padding=1), LIF(2))
    body = nn.Sequential(*layers, Flatten(), Linear(32 * 14 * 14, 10), LI(3))
    return SpikingNet(body, InputSpec((1, 28, 28), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM)


class Stepper:
    """Training steps of one net on one batch."""

    def __init__(self, net: SpikingNet, batch: int) -> None:
        torch.manual_seed(0)
        shape = net.input.shape
        if net.input.constant:
            self.x = torch.randint(0, 256, (batch, *shape)).expand(N_STEPS, batch, *shape).contiguous()
        else:
            self.x = (torch.rand(N_STEPS, batch, *shape) < 0.1).float()
        self.y = torch.randint(0, 10, (batch,))
        self.net, self.optimizer = net.train(), torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def step(self) -> float:
        """Processor seconds of one step."""
        started = time.process_time()
        loss = nn.functional.cross_entropy(self.net.scores(self.net(self.x)), self.y)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return time.process_time() - started


@contextmanager
def meters(net: SpikingNet, activity: bool) -> Iterator[None]:
    """Criticality gathered for a while, activity too if asked."""
    gauges = Meters(net, SurrogateShape.ARCTAN)
    if not activity:
        for layer in net.modules():
            layer._forward_pre_hooks.clear()
    try:
        yield
    finally:
        gauges.remove()


def measure(net: SpikingNet, batch: int) -> dict[str, float]:
    """Medians in milliseconds, and the share that gathering adds."""
    stepper = Stepper(net, batch)
    times: dict[str, list[float]] = {"plain": [], "criticality": [], "both": []}
    for _ in range(ROUNDS):
        times["plain"].append(stepper.step())
        with meters(net, activity=False):
            times["criticality"].append(stepper.step())
        with meters(net, activity=True):
            times["both"].append(stepper.step())
    ms = {name: 1000 * statistics.median(values[3:]) for name, values in times.items()}
    added = {f"{name}_share": ms[name] / ms["plain"] - 1 for name in ("criticality", "both")}
    paired = [b / a - 1 for a, b in zip(times["plain"][3:], times["criticality"][3:], strict=True)]
    return {**ms, **added, "criticality_share_paired_median": statistics.median(paired)}


def main(arguments: Sequence[str] | None = None) -> None:
    torch.set_num_threads(1)
    nets: dict[str, tuple[Callable[[], SpikingNet], int]] = {"784-800-10": (mlp, BATCH), "conv": (conv, 32)}
    report: dict[str, Any] = {name: measure(build(), batch) for name, (build, batch) in nets.items()}
    report |= {"rounds": ROUNDS, "unit": "ms of processor time a step, median", "versions": versions()}
    OUT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

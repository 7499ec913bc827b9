"""One training step beside snnTorch and SpikingJelly: same network, steps, batch, data and optimizer.

``python -m benchmarks.training_step`` runs all in one process, one after the other in every round, on one
thread, and writes ``docs/results/training-step.json``. The network is 784-800-10, LIF with beta 0.75,
T = 8, batch 128, cross-entropy of the spike counts, Adam; the input is a constant analog image. A library
that cannot be imported is named with the reason.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.spec import Coding, InputSpec, Readout
from trainer.layers import Linear
from trainer.models import SpikingNet
from trainer.neuron import LIF

N_STEPS, BATCH, SIZES = 8, 128, (784, 800, 10)
OUT = Path(__file__).parent.parent / "docs" / "results" / "training-step.json"


@dataclass(frozen=True)
class Peer:
    """A library's network as a function from its input to spike counts (batch, classes)."""

    net: nn.Module
    counts: Callable[[], Tensor]


def images() -> tuple[Tensor, Tensor]:
    """Integers 0..255 (batch, 784), sparse as a digit is, and labels."""
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (BATCH, SIZES[0]), generator=draw)
    seen = torch.rand((BATCH, SIZES[0]), generator=draw) < 0.2
    return values * seen, torch.randint(0, SIZES[2], (BATCH,), generator=draw)


def ours(x: Tensor) -> Peer:
    body = nn.Sequential(Linear(SIZES[0], SIZES[1]), LIF(2), Linear(SIZES[1], SIZES[2]), LIF(2))
    spec = InputSpec((SIZES[0],), Coding.DIRECT, N_STEPS, bits=8, scale=1 / 255, constant=True)
    net = SpikingNet(body, spec, Readout.COUNT)
    return Peer(net, lambda: net.scores(net(x.expand(N_STEPS, *x.shape))))


def snntorch(x: Tensor) -> Peer:
    import snntorch as snn

    first, second = nn.Linear(SIZES[0], SIZES[1], bias=False), nn.Linear(SIZES[1], SIZES[2], bias=False)
    hidden, output = snn.Leaky(beta=0.75), snn.Leaky(beta=0.75)
    net = nn.ModuleList([first, hidden, second, output])
    real = x.float() / 255

    def counts() -> Tensor:
        v, w = hidden.init_leaky(), output.init_leaky()
        total = []
        for _ in range(N_STEPS):
            spikes, v = hidden(first(real), v)
            spikes, w = output(second(spikes), w)
            total.append(spikes)
        return torch.stack(total).sum(0)

    return Peer(net, counts)


def spikingjelly(x: Tensor) -> Peer:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif() -> nn.Module:
        # tau 4 without decaying the input is v = 0.75 v + x; soft reset as ours
        return neuron.LIFNode(
            tau=4.0,
            decay_input=False,
            v_reset=None,
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
            step_mode="m",
        )

    first = layer.Linear(SIZES[0], SIZES[1], bias=False, step_mode="m")
    second = layer.Linear(SIZES[1], SIZES[2], bias=False, step_mode="m")
    net = nn.Sequential(first, lif(), second, lif())
    real = (x.float() / 255).expand(N_STEPS, *x.shape)

    def counts() -> Tensor:
        functional.reset_net(net)
        out: Tensor = net(real).sum(0)
        return out

    return Peer(net, counts)


PEERS: dict[str, Callable[[Tensor], Peer]] = {
    "spikepress": ours,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
}


def stepper(peer: Peer, y: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(peer.net.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(peer.counts(), y)
        torch.autograd.backward(loss)
        optimizer.step()

    return step


def measure(rounds: int, warm_up: int) -> dict[str, Any]:
    """Median and spread of each library's step, milliseconds, rounds interleaved; ratios of medians and
    the median of the ratios of each round."""
    x, y = images()
    steps: dict[str, Callable[[], None]] = {}
    skipped: dict[str, str] = {}
    for name, make in PEERS.items():
        torch.manual_seed(0)
        try:
            steps[name] = stepper(make(x), y)
        except ImportError as error:
            skipped[name] = str(error)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(warm_up + rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if turn >= warm_up:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {
        "libraries": {n: summary(n, t, times["spikepress"]) for n, t in times.items()},
        "skipped": skipped,
    }


def summary(name: str, times: list[float], baseline: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(times, n=4)
    ratios = [one / other for one, other in zip(times, baseline, strict=True)]
    return {
        "version": importlib.metadata.version(name),
        "median_ms": round(middle, 3),
        "quartiles_ms": [round(low, 3), round(high, 3)],
        "times_slower_than_spikepress": round(statistics.median(ratios), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--warm-up", type=int, default=10)
    options.add_argument("--out", type=Path, default=OUT)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    found = measure(chosen.rounds, chosen.warm_up)
    report = {
        "case": f"training step, {'-'.join(map(str, SIZES))}, T={N_STEPS}, batch {BATCH}, seed 0",
        "protocol": f"interleaved, {chosen.rounds} rounds after {chosen.warm_up}, one thread",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        **found,
    }
    for name, row in found["libraries"].items():
        ratio = row["times_slower_than_spikepress"]
        print(f"{name:14}{row['median_ms']:9.2f} ms a step   {ratio:6.2f} x spikepress")
    for name, reason in found["skipped"].items():
        print(f"{name:14} skipped: {reason}")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Networks trained in other frameworks on handwritten digits, as producers of the interoperability matrix."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runtime.spec import Compare, Reset, ResetTiming

STEPS, HIDDEN, EPOCHS, BATCH = 25, 48, 15, 64
TRAIN, TEST = 1_000, 600
RESETS = {"subtract": Reset.SUBTRACT, "zero": Reset.VALUE, "none": Reset.NONE}
NORSE_DT = 1e-6
"""norse 1.1 integrates in steps of 1e-3 and writes each time constant times that."""
Words = dict[str, Any]
"""Arguments of ``Conventions``: what a NIR file of the network leaves open."""


@dataclass(frozen=True)
class Producer:
    """One construct of a framework. ``make`` gives the untrained network, ``reset`` clears its states between
    samples; ``words``: how its NIR file is to be read, None where the framework writes none of it."""

    framework: str
    construct: str
    make: Callable[[], nn.Module]
    reset: Callable[[nn.Module], None]
    words: Words | None
    shape: tuple[int, ...] = (64,)
    nir: Callable[[nn.Module], Any] | None = None
    """The network as a NIR graph; None: as snnTorch writes one."""
    walked: bool = True
    """Whether its modules can be read without NIR."""
    whole: bool = False
    """Whether one call takes all steps, (samples, steps, values); else one step, and the state stays."""
    loses: str = ""
    """What the framework's own NIR file does not say of the network, where that is known."""


@dataclass(frozen=True)
class Events:
    """Digits as events, drawn once: (steps, samples, *shape) of 0 and 1, and labels."""

    x: NDArray[np.int32]
    y: NDArray[np.int64]


def digits(seed: int = 0) -> tuple[Events, Events]:
    """Training and test events of scikit-learn's 8×8 digits: a pixel fires by its brightness."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))[: TRAIN + TEST]
    rates, y = images[order] / 16 * 0.8, labels[order].astype(np.int64)
    x = (rng.random((STEPS, len(rates), 64)) < rates).astype(np.int32)
    return Events(x[:, :TRAIN], y[:TRAIN]), Events(x[:, TRAIN:], y[TRAIN:])


def outputs(producer: Producer, net: nn.Module, x: Tensor) -> Tensor:
    """(steps, samples, classes) of spikes; states start anew."""
    if producer.whole:
        out = net(x.transpose(0, 1))
        return (out[0] if isinstance(out, tuple) else out).transpose(0, 1)
    said = [net(frame) for frame in x]
    return torch.stack([one[0] if isinstance(one, tuple) else one for one in said])


def train(producer: Producer, events: Events, seed: int = 0) -> nn.Module:
    """The producer's network after ``EPOCHS`` epochs of Adam on spike counts."""
    torch.manual_seed(seed)
    net = producer.make()
    x, y = torch.from_numpy(events.x).float(), torch.from_numpy(events.y)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(EPOCHS):
        order = torch.randperm(len(y))
        for k in range(0, len(y), BATCH):
            part = order[k : k + BATCH]
            producer.reset(net)
            frames = x[:, part].reshape(STEPS, len(part), *producer.shape)
            loss = nn.functional.cross_entropy(outputs(producer, net, frames).sum(0) / 4, y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def spikes_of(producer: Producer, net: nn.Module, events: Events) -> NDArray[np.int32]:
    """What the framework itself says of the events."""
    producer.reset(net)
    x = torch.from_numpy(events.x).float().reshape(STEPS, -1, *producer.shape)
    with torch.no_grad():
        return outputs(producer, net, x).numpy().astype(np.int32)


def producers() -> Iterator[Producer]:
    """Every construct of every framework that is installed."""
    yield from _snntorch()
    for package, make in (("spikingjelly", _spikingjelly), ("norse", _norse)):
        if importlib.util.find_spec(package) is not None:
            yield from make()


def _snntorch() -> Iterator[Producer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import snntorch as snn

    kinds = {
        "Leaky": snn.Leaky,
        "Synaptic": snn.Synaptic,
        "RLeaky": snn.RLeaky,
        "RSynaptic (recurrent CubaLIF)": snn.RSynaptic,
    }
    for name, kind in kinds.items():
        for reset, rule in RESETS.items():
            for delay in (True,) if kind is snn.RSynaptic else (True, False):
                timing = ResetTiming.NEXT_STEP if delay else ResetTiming.SAME_STEP
                words = {"reset": rule, "compare": Compare.GREATER, "reset_timing": timing}
                construct = f"{name}, {reset}, reset_delay={delay}"
                make = _quiet(_chain(_snntorch_neuron(kind, reset, delay)), "Synaptic" in name)
                yield Producer("snnTorch", construct, make, _clear, words)


def _clear(net: nn.Module) -> None:
    """snnTorch's own reset leaves the last spikes of a recurrent neuron."""
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()


def _snntorch_neuron(kind: Any, reset: str, delay: bool) -> Callable[[int, bool], nn.Module]:
    def made(n: int, output: bool) -> nn.Module:
        options: dict[str, Any] = {
            "beta": torch.full((n,), 0.9),
            "threshold": torch.ones(n),
            "reset_mechanism": reset,
            "reset_delay": delay,
            "init_hidden": True,
            "output": output,
        }
        if "Synaptic" in kind.__name__:
            options["alpha"] = torch.full((n,), 0.7)
        if kind.__name__.startswith("R"):
            options["linear_features"] = n
        module: nn.Module = kind(**options)
        return module

    return made


def _quiet(make: Callable[[], nn.Module], quiet: bool) -> Callable[[], nn.Module]:
    """The network, all weights a quarter where a synaptic current adds up: else every neuron always fires."""

    def made() -> nn.Module:
        net = make()
        with torch.no_grad():
            for module in net.modules():
                if quiet and isinstance(module, nn.Linear):
                    module.weight.mul_(0.25)
        return net

    return made


def _chain(neuron: Callable[[int, bool], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Linear(64, HIDDEN), neuron(HIDDEN, False), nn.Linear(HIDDEN, 10), neuron(10, True)
    )


def _spikingjelly() -> Iterator[Producer]:
    from spikingjelly.activation_based import functional, layer, neuron

    kinds: dict[str, Callable[[], nn.Module]] = {
        "LIFNode, hard reset": lambda: neuron.LIFNode(tau=2.0),
        "LIFNode, soft reset": lambda: neuron.LIFNode(tau=2.0, v_reset=None),
        "LIFNode, input not decayed": lambda: neuron.LIFNode(tau=4.0, decay_input=False),
        "ParametricLIFNode, hard reset": lambda: neuron.ParametricLIFNode(init_tau=2.0),
        "IFNode, hard reset": neuron.IFNode,
        "IFNode, soft reset (as sinabs)": lambda: neuron.IFNode(v_reset=None),
    }
    for name, make in kinds.items():
        yield Producer(
            "SpikingJelly", name, _chain(lambda n, output, make=make: make()), functional.reset_net, None
        )

    def convolutional() -> nn.Module:
        return nn.Sequential(
            layer.Conv2d(1, 8, 3, padding=1, bias=False),
            layer.BatchNorm2d(8),
            neuron.IFNode(),
            layer.MaxPool2d(2),
            layer.Conv2d(8, 16, 3, padding=1, bias=False),
            layer.BatchNorm2d(16),
            neuron.LIFNode(tau=2.0, v_reset=None),
            layer.AvgPool2d(2),
            layer.Flatten(),
            layer.Linear(64, 10),
            neuron.IFNode(v_reset=None),
        )

    yield Producer(
        "SpikingJelly",
        "Conv2d, BatchNorm2d, max and average pool",
        convolutional,
        functional.reset_net,
        None,
        (1, 8, 8),
    )


class Stateful(nn.Module):
    """A norse network that keeps its state from call to call."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.state = net, None

    def forward(self, x: Tensor) -> Tensor:
        out, self.state = self.net(x, self.state)
        return out


def _norse() -> Iterator[Producer]:
    """Neurons that norse writes as NIR; it integrates by explicit Euler steps, as NIR is read here."""
    import norse.torch as norse
    from norse.torch.utils.export_nir import to_nir

    def chain(neuron: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: Stateful(
            norse.SequentialState(nn.Linear(64, HIDDEN), neuron(), nn.Linear(HIDDEN, 10), neuron())
        )

    def clear(net: nn.Module) -> None:
        net.state = None  # type: ignore[assignment]

    def written(net: nn.Module) -> Any:
        return to_nir(net.net, torch.zeros(64))  # type: ignore[arg-type]

    kinds = {"LIFBoxCell": norse.LIFBoxCell, "LIFCell (current-based)": norse.LIFCell}
    for name, kind in kinds.items():
        loses = "" if name == "LIFBoxCell" else "its current is tau_syn / dt times that of the equations"
        words = {"dt": NORSE_DT}
        yield Producer("norse", name, chain(kind), clear, words, nir=written, walked=False, loses=loses)

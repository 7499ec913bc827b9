"""Networks of sinabs and Rockpool, whose NIR package is an older one: they need environments of their own.

In an environment with either of them, torch, nirtorch and scikit-learn:
``python -m benchmarks.interop_elsewhere --out DIR`` trains their networks as ``benchmarks.interop_nets`` does
and leaves of each its NIR file, what it fired on the test samples, and how its file is to be read. Then
``python -m benchmarks.interop --elsewhere DIR`` brings them here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.interop_nets import HIDDEN, Producer, digits, spikes_of, train

TAU = 10.0
"""Time constants, in steps."""
SEVERAL = 4
"""Bits of as many spikes as one neuron may fire in a step."""


def producers() -> Iterator[Producer]:
    """Every construct of those of the two that are installed."""
    for package, made in (("sinabs", _sinabs), ("rockpool", _rockpool)):
        if importlib.util.find_spec(package) is not None:
            yield from made()


def _sinabs() -> Iterator[Producer]:
    import nir
    import sinabs
    from sinabs import layers
    from sinabs.activation import MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
    from sinabs.nir import to_nir

    def chain(neuron: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(nn.Linear(64, HIDDEN), neuron(), nn.Linear(HIDDEN, 10), neuron())

    def convolutional() -> nn.Module:
        one_step = {"num_timesteps": 1, "spike_fn": SingleSpike}
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            layers.IAFSqueeze(**one_step),
            layers.SumPool2d(2, 2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False),
            layers.IAFSqueeze(**one_step),
            layers.SumPool2d(2, 2),
            nn.Flatten(),
            nn.Linear(64, 10, bias=False),
            layers.IAFSqueeze(**one_step),
        )

    def clear(net: nn.Module) -> None:
        sinabs.reset_states(net)

    def written(net: nn.Module) -> Any:
        return to_nir(net, torch.zeros(1, 1, 64))

    def filled(net: nn.Module) -> Any:
        """As written, and what its file cannot be written without: the sizes of maps."""
        made = to_nir(net, torch.zeros(1, 1, 8, 8))
        sides = iter((8, 4))
        for node in made.nodes.values():
            if isinstance(node, nir.Conv2d):
                side = next(sides)
                node.input_shape = (side, side)
            elif isinstance(node, nir.Flatten):
                node.input_type = {"input": np.array([16, 2, 2])}
        return made

    base = {"dt": 1.0, "reset": "subtract", "compare": ">="}
    several = {**base, "payload_bits": SEVERAL}
    one, many = {"spike_fn": SingleSpike}, {"spike_fn": MultiSpike}
    take, clear_all = {"reset_fn": MembraneSubtract()}, {"reset_fn": MembraneReset()}
    kinds: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
        "IAF, one spike a step": (lambda: layers.IAF(**one, **take), base),
        "IAF, one spike a step, MembraneReset": (
            lambda: layers.IAF(**one, **clear_all),
            {**base, "reset": "value"},
        ),
        "IAF, several spikes a step": (lambda: layers.IAF(**many, **take), several),
        "LIF, one spike a step": (
            lambda: layers.LIF(TAU, **one, **take),
            {**base, "integration": "exact"},
        ),
        "LIF, several spikes a step": (
            lambda: layers.LIF(TAU, **many, **take),
            {**several, "integration": "exact"},
        ),
        "LIF, inputs not normalised": (
            lambda: layers.LIF(TAU, norm_input=False, **one, **take),
            {**base, "integration": "impulse"},
        ),
    }
    for name, (make, words) in kinds.items():
        yield Producer("sinabs", name, chain(make), clear, words, nir=written, whole=True)
    yield Producer(
        "sinabs",
        "Conv2d, IAFSqueeze, SumPool2d (sizes of maps filled in)",
        convolutional,
        clear,
        base,
        (1, 8, 8),
        nir=filled,
    )


def _rockpool() -> Iterator[Producer]:
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFNeuronTorch, LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir
    from rockpool.parameters import Constant

    # Time constants that Adam moves below zero, and a bias that its file leaves out, are not trained.
    dt = 1e-3
    times = {"tau_mem": Constant(TAU * dt), "bias": Constant(0.0), "dt": dt}

    def chain(neuron: Callable[[int], Any], quiet: float) -> Callable[[], nn.Module]:
        def made() -> nn.Module:
            first, last = LinearTorch((64, HIDDEN)), LinearTorch((HIDDEN, 10))
            for one in (first, last):
                one.weight.data.mul_(quiet)
            net: nn.Module = Sequential(first, neuron(HIDDEN), last, neuron(10)).to_torch()
            return net

        return made

    def clear(net: nn.Module) -> None:
        net.reset_state()  # type: ignore[operator]

    def written(net: nn.Module) -> Any:
        return to_nir(net, torch.zeros(1, 1, 64))

    kinds = {
        "LIFNeuronTorch": chain(lambda n: LIFNeuronTorch((n,), **times), 1.0),
        "LIFTorch (current-based)": chain(
            lambda n: LIFTorch((n, n), tau_syn=Constant(TAU * dt / 2), has_rec=False, **times), 0.25
        ),
    }
    words = {
        "dt": dt,
        "reset": "subtract",
        "compare": ">=",
        "integration": "impulse",
        "payload_bits": SEVERAL,
    }
    for name, make in kinds.items():
        yield Producer("Rockpool", name, make, clear, words, nir=written, whole=True)


def main() -> int:
    """Writes a folder of each construct."""
    import nir

    parser = argparse.ArgumentParser(prog="python -m benchmarks.interop_elsewhere", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    training, test = digits()
    for producer in producers():
        net = train(producer, training)
        fired = spikes_of(producer, net, test)
        place = out / re.sub(r"\W+", "-", f"{producer.framework} {producer.construct}".lower())
        place.mkdir(parents=True, exist_ok=True)
        producer.reset(net)
        assert producer.nir is not None
        nir.write(place / "model.nir", producer.nir(net))
        np.savez_compressed(place / "fired.npz", fired=fired)
        told = {
            "framework": producer.framework,
            "construct": producer.construct,
            "words": producer.words,
            "shape": list(producer.shape),
            "versions": {name: version(name) for name in (producer.framework.lower(), "nir", "torch")},
        }
        (place / "told.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"{place.name}: {float(np.mean(fired.sum(0).argmax(1) == test.y)):.4f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Networks that snnTorch wrote as NIR fire here as they fired there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

snn = pytest.importorskip("snntorch")
utils = pytest.importorskip("snntorch.utils")
pytest.importorskip("nirtorch", reason="snnTorch writes NIR with nirtorch")

from exporter.reference import run_float  # noqa: E402
from exporter.sources.nir import graph_from_nir  # noqa: E402
from exporter.sources.nir_neurons import Conventions  # noqa: E402
from runtime.spec import Compare, Reset, ResetTiming  # noqa: E402

STEPS, SAMPLES = 50, 40
UNSAYABLE = {
    ("leaky", "subtract", False),
    ("synaptic", "subtract", False),
    ("recurrent", "subtract", False),
    ("synaptic", "zero", True),
    ("recurrent", "zero", True),
    ("recurrent synaptic", "zero", True),
}
"""Kinds, resets and delays that no neuron here has. Subtraction in the same step: a membrane that stays above
the threshold is lowered again before the next comparison. Late zero: the synaptic current is reset as well
(``Synaptic``), or the input of that step is lost (``RLeaky``)."""
RUNS = [
    (kind, reset, delay)
    for kind in ("leaky", "synaptic", "recurrent", "recurrent synaptic")
    for reset in ("subtract", "zero", "none")
    for delay in (True, False)
    if delay or kind != "recurrent synaptic"
]
"""What snnTorch 1.0 runs: its RSynaptic with reset_delay=False raises a TypeError of its own."""
RESETS = {"subtract": Reset.SUBTRACT, "zero": Reset.VALUE, "none": Reset.NONE}


def snntorch_net(kind: str, reset: str, *, delay: bool) -> torch.nn.Sequential:
    """20-32-8 with beta 0.9, alpha 0.8, thresholds of 1."""

    def neuron(n: int, *, output: bool = False) -> torch.nn.Module:
        shared = {
            "beta": torch.full((n,), 0.9),
            "threshold": torch.ones(n),
            "reset_mechanism": reset,
            "reset_delay": delay,
            "init_hidden": True,
            "output": output,
        }
        if kind == "synaptic":
            return snn.Synaptic(alpha=torch.full((n,), 0.8), **shared)
        if kind == "recurrent synaptic":
            return snn.RSynaptic(alpha=torch.full((n,), 0.8), linear_features=n, **shared)
        if kind == "recurrent":
            return snn.RLeaky(linear_features=n, **shared)
        return snn.Leaky(**shared)

    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Linear(20, 32), neuron(32), torch.nn.Linear(32, 8), neuron(8, output=True)
    )
    with torch.no_grad():
        for module in net:
            if isinstance(module, torch.nn.Linear):
                module.weight.mul_(2 if delay else 1.5)
    return net


def spikes_there(net: torch.nn.Sequential, x: torch.Tensor) -> np.ndarray:
    """(steps, samples, outputs) of snnTorch itself."""
    utils.reset(net)
    with torch.no_grad():
        found = [net(frame) for frame in x]
    return torch.stack([one[0] if isinstance(one, tuple) else one for one in found]).numpy().astype(np.int32)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("kind", "reset", "delay"), RUNS)
def test_every_spike_is_the_producers_where_its_reset_can_be_said(kind, reset, delay):
    from snntorch.export_nir import export_to_nir

    net = snntorch_net(kind, reset, delay=delay)
    torch.manual_seed(2)
    x = (torch.rand(STEPS, SAMPLES, 20) < 0.2).float()
    expected = spikes_there(net, x)
    how = Conventions(
        reset=RESETS[reset],
        compare=Compare.GREATER,
        reset_timing=ResetTiming.NEXT_STEP if delay else ResetTiming.SAME_STEP,
    )
    graph = graph_from_nir(export_to_nir(net, torch.zeros(20)), how)
    found = run_float(graph, x.numpy().astype(np.int32)).spikes[graph.output]
    assert expected.sum() > 100
    whole = (found == expected).all(axis=(0, 2))
    if (kind, reset, delay) in UNSAYABLE:
        assert whole.mean() < 0.99, "a rule that can be said after all belongs among the exact ones"
    else:
        assert whole.mean() >= 0.99
        assert (found == expected).mean() >= 0.9999

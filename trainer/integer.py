"""The torch leg of Contract 3: the net that trained, in evaluation mode, on whole numbers.

After ``attach``, ``net.eval()`` is the integer model and ``net.train()`` the one that trains. All sums are
float64 and stay whole: no fast convolution (NNPACK, Winograd) takes that type, and 2^53 is far off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.spec import IntegerNeuron
from trainer.held import hold
from trainer.integer_neuron import check_whole
from trainer.layers import BatchNorm, Pool
from trainer.models import SpikingNet
from trainer.synapse import IntegerWeights, Synapse

Traces = dict[str, Tensor]
"""Population name to int32 (steps, batch, neurons)."""


def attach(
    net: SpikingNet,
    neurons: Mapping[str, IntegerNeuron],
    shifts: Mapping[str, int],
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> SpikingNet:
    """Give populations their integer neurons and synapses their whole weights and shifts, in place.

    Names are those of modules in ``net.body``. ``weights`` (the layer's shape) replaces the integers of
    the layer's quantizer, for weights that were quantized after training. Biases of layers take no part:
    they belong to ``bias_q``.

    Raises:
        ModelError: a population or synapse lacks its integers, or batch norms are left.
    """
    detach(net)
    for name, module in net.body.named_modules():
        if isinstance(module, BatchNorm):
            raise ModelError(f"{name}: found a batch norm, expected fold_batch_norm before attach")
        if isinstance(module, Synapse):
            given = None if weights is None else weights.get(name)
            module.integer = IntegerWeights(_whole(name, module, given), _entry(shifts, name, "shift"))
        elif isinstance(module, Pool):
            module.whole = True
    for name, neuron in net.neurons().items():
        neuron.integer = _entry(neurons, name, "integer neuron")
    return net


def _entry(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise ModelError(f"{name}: found no {what} among {sorted(table)}, expected one")
    return table[name]


def _whole(name: str, synapse: Synapse, given: NDArray[Any] | None) -> Tensor:
    if given is not None:
        weight = torch.from_numpy(np.array(given, dtype=np.float64))
        return check_whole(weight.reshape(synapse.weight.shape), name)
    if synapse.quantizer is None:
        raise ModelError(f"{name}: found no quantizer and no whole weights, expected one of them")
    return synapse.integers()[0].double()


def detach(net: SpikingNet) -> SpikingNet:
    """Undo ``attach``: evaluation mode computes in reals again. Returns the net."""
    for module in net.body.modules():
        if isinstance(module, Synapse):
            module.integer = None
        elif isinstance(module, Pool):
            module.whole = False
    for neuron in net.neurons().values():
        neuron.integer = None
    return net


def run(net: SpikingNet, coded: Tensor | NDArray[Any]) -> tuple[Traces, Traces]:
    """Payloads and stored membranes of every population for coded input (steps, batch, *shape).

    The input may come in the graph's shape: (channels, 1, length) for (channels, length).

    Raises:
        ModelError: nothing is attached, the input has another size, or a value is not whole.
    """
    if not any(n.integer is not None for n in net.neurons().values()):
        raise ModelError("integer run: found a net without integers, expected trainer.integer.attach first")
    x = coded if isinstance(coded, Tensor) else _tensor(coded, net.input.constant)
    spikes: Traces = {}
    membranes: Traces = {}
    with evaluating(net), recording(net, spikes, membranes), torch.no_grad():
        net(check_whole(_in_shape(x, net.input.shape).double(), "input"))
    return spikes, membranes


def _tensor(coded: NDArray[Any], constant: bool) -> Tensor:
    """A copy, since coded input may be a read-only view: of one step when all are the same."""
    if constant:
        return hold(torch.from_numpy(np.array(coded[0])), len(coded))
    return torch.from_numpy(np.array(coded))


def _in_shape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    found = tuple(x.shape[2:])
    if [n for n in found if n != 1] != [n for n in shape if n != 1]:
        raise ModelError(f"integer run: found input of shape {found}, expected {shape}")
    return x if found == shape else x.reshape(*x.shape[:2], *shape)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)


@contextmanager
def recording(net: SpikingNet, spikes: Traces, membranes: Traces) -> Iterator[None]:
    """Write what integer populations do into two dicts for a while."""
    recorders = {}
    for name, neuron in net.neurons().items():
        recorders[name] = _recorder(name, spikes, membranes)
        neuron.recorders.append(recorders[name])
    try:
        yield
    finally:
        for name, neuron in net.neurons().items():
            neuron.recorders.remove(recorders[name])


def _recorder(name: str, spikes: Traces, membranes: Traces) -> Any:
    def record(payloads: Tensor, stored: Tensor) -> None:
        spikes[name] = payloads.flatten(2).to(torch.int32)
        membranes[name] = stored.flatten(2).to(torch.int32)

    return record

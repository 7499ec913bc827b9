"""Stateless layers: steps fold into the batch, held input is computed once, pools and traces."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Coding, Fire, InputSpec, Readout, Reset, ResetTiming
from tests.builders import nets
from trainer.check import check_structure
from trainer.held import held, hold
from trainer.layers import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool,
    Skip,
    SumPool,
)
from trainer.models import Residual, SpikingNet, predictions
from trainer.neuron import LI, LIF, CubaLIF, Firing
from trainer.recurrent import Recurrent
from trainer.structure import populations, sites

LAYERS = {
    "linear": (Linear(6, 4, bias=True), (6,)),
    "conv2d": (Conv2d(2, 4, (3, 2), stride=2, padding=(1, 0), groups=2, bias=True), (2, 6, 5)),
    "conv1d": (Conv1d(2, 3, 3, dilation=2), (2, 9)),
    "skip": (Skip(3, 0.5), (3, 2, 2)),
    "batch_norm": (BatchNorm(3), (3, 2, 2)),
    "avg_pool": (AvgPool(2), (3, 4, 4)),
    "sum_pool": (SumPool(2), (3, 4)),
    "max_pool": (MaxPool(3, 2, 1), (3, 5, 5)),
    "flatten": (Flatten(), (3, 2, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_treats_steps_alone_and_held_input_once(name: str) -> None:
    layer, shape = LAYERS[name]
    layer = layer.eval()
    x = torch.rand((4, 3, *shape), generator=torch.Generator().manual_seed(0))
    together = layer(x)
    # one step alone may be summed in another order by the matrix product
    torch.testing.assert_close(together[2], layer(x[2:3])[0])
    constant = layer(hold(x[0], 4))
    assert held(constant) is not None
    torch.testing.assert_close(constant[3], together[0])


def test_sums_and_means_differ_by_the_window() -> None:
    x = torch.ones(1, 1, 1, 4, 4)
    assert SumPool(2)(x).unique().tolist() == [4.0]
    assert AvgPool(2)(x).unique().tolist() == [1.0]
    assert SumPool(2)(torch.ones(1, 1, 1, 4)).unique().tolist() == [2.0]


def test_batch_norm_takes_statistics_over_steps_batch_and_positions() -> None:
    x = torch.randn((5, 3, 2, 4), generator=torch.Generator().manual_seed(0))
    norm = BatchNorm(2).train()
    torch.testing.assert_close(
        norm(x), F.batch_norm(x.flatten(0, 1), None, None, training=True).view(x.shape)
    )


@pytest.mark.parametrize("name", nets.NETS)
def test_every_net_is_traced_to_populations_that_have_synapses(name: str) -> None:
    net = nets.NETS[name]()
    found = populations(net)
    assert list(found) == list(net.neurons())
    assert all(afferents for afferents in found.values())


def test_a_residual_sum_feeds_one_population_from_two_layers() -> None:
    found = populations(nets.residual())
    assert [a.name for a in found["3"]] == ["2.body.2", "2.shortcut"]


def test_an_average_pool_and_the_input_scale_count_in_the_unit() -> None:
    factors = {a.name: a.factor for group in populations(nets.pooled()).values() for a in group}
    assert factors == {"0": 1 / 15, "3": 0.25, "7": 1.0}


class _Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = Linear(3, 3), LIF(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.lif(self.fc(x) * 2)
        return out


def test_an_operation_outside_the_contract_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="mul"):
        sites(_Doubling())


def test_spikes_added_to_a_current_need_a_skip() -> None:
    body = nn.Sequential(Linear(3, 3), LIF(2), Residual(Linear(3, 3)), LIF(2))
    net = SpikingNet(body, InputSpec((3,), Coding.EVENTS, 2), Readout.COUNT)
    with pytest.raises(UnsupportedError, match="Skip"):
        populations(net)


def test_a_tie_goes_to_the_lowest_index() -> None:
    scores = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    assert predictions(scores).tolist() == [1, 0, 0]


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ModelError, match=r"mask: found shape \(4, 3\), expected the weight's \(3, 4\)"):
        Linear(4, 3).set_mask(torch.ones(4, 3))


class _Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Linear(3, 3), LIF(2))
        self.spare = Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body(x)
        return out


class _Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Linear(3, 3), LIF(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body(x)
        return out if out.sum() > 0 else x


UNREADABLE = {
    "1: found readout membrane_max of a population that fires": (
        nn.Sequential(Linear(3, 3), LIF(2)),
        Readout.MEMBRANE_MAX,
    ),
    "1.neuron: found readout membrane_last of a population that fires": (
        nn.Sequential(Linear(3, 3), Recurrent(Linear(3, 3), LIF(2))),
        Readout.MEMBRANE_LAST,
    ),
    "1: found readout by count of an LI": (nn.Sequential(Linear(3, 3), LI(2)), Readout.COUNT),
    "0: found a body that does not end in a neuron": (nn.Sequential(Linear(3, 3)), Readout.COUNT),
    "1: found synapses behind a population that never fires": (
        nn.Sequential(Linear(3, 3), LI(2), Linear(3, 3), LIF(2)),
        Readout.COUNT,
    ),
    "spare: found a layer that feeds no population": (_Unused(), Readout.COUNT),
    "forward: found symbolically traced variables cannot be used": (_Branching(), Readout.COUNT),
}


@pytest.mark.parametrize("message", UNREADABLE)
def test_a_net_without_an_integer_form_is_refused_before_training(message: str) -> None:
    body, readout = UNREADABLE[message]
    with pytest.raises(ModelError) as caught:
        check_structure(SpikingNet(body, InputSpec((3,), Coding.EVENTS, 2), readout))
    assert str(caught.value).startswith(message)


LATE = Firing(reset=Reset.VALUE, reset_timing=ResetTiming.NEXT_STEP, reset_value=(0.5,))

UNEQUALED = {
    "0: found a bias or a batch norm that 1 would filter": (Linear(3, 3, bias=True), CubaLIF(2)),
    "1: found a bias or a batch norm that 2 would filter": (Linear(3, 3), BatchNorm(3), CubaLIF(2)),
    "1.linear: found a bias or a batch norm that 1.neuron": (
        Linear(3, 3),
        Recurrent(Linear(3, 3, bias=True), CubaLIF(2)),
    ),
    "1: found a graded neuron with v_leak": (
        Linear(3, 3),
        LIF(2, Firing(fire=Fire.GRADED, payload_bits=2), v_leak=0.5),
    ),
    "1: found a reset to a value in the next step": (Linear(3, 3), LIF(2, LATE)),
}


@pytest.mark.parametrize("message", UNEQUALED)
def test_a_neuron_that_no_integer_neuron_equals_is_refused_before_training(message: str) -> None:
    body = nn.Sequential(*UNEQUALED[message])
    with pytest.raises(UnsupportedError) as caught:
        check_structure(SpikingNet(body, InputSpec((3,), Coding.EVENTS, 2), Readout.COUNT))
    assert str(caught.value).startswith(message)


MAPS = (Conv2d(2, 2, 1), LIF(2))

UNPOOLABLE = {
    "2: found kernel (2, 2), stride (1, 1)": (*MAPS, AvgPool(2, 1)),
    "2: found kernel (2, 2), stride (2, 2), padding (1, 1)": (*MAPS, SumPool(2, padding=1)),
    "3: found a max pool of sums": (*MAPS, SumPool(1), MaxPool(2)),
    "1: found a max pool of sums": (Residual(nn.Sequential(*MAPS)), MaxPool(2)),
    "0: found a max pool of signed input": (MaxPool(2),),
}


@pytest.mark.parametrize("message", UNPOOLABLE)
def test_a_pool_without_an_integer_form_is_refused_before_training(message: str) -> None:
    layers = UNPOOLABLE[message]
    spec = InputSpec((2, 4, 4), Coding.DIRECT, 2, signed=True)
    size = nn.Sequential(*layers, Flatten())(torch.zeros(1, 1, *spec.shape)).shape[-1]
    body = nn.Sequential(*layers, Flatten(), Linear(size, 3), LIF(2))
    with pytest.raises(UnsupportedError) as caught:
        check_structure(SpikingNet(body, spec, Readout.COUNT))
    assert str(caught.value).startswith(message)

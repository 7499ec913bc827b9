"""Weight grids in training, batch-norm folding, and the whole-number evaluation of the net that trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth
from tests.builders import nets
from trainer import integer
from trainer.layers import Conv2d, Flatten, Linear
from trainer.models import Residual, SpikingNet
from trainer.neuron import LIF
from trainer.prepare import fold_batch_norm, prepare
from trainer.quant import WeightBits, WeightQuantizer, best_scale, on_grid, refresh
from trainer.structure import populations
from trainer.synapse import Synapse, shifted

WIDTHS = list(WeightBits)


def weights(seed: int = 0) -> Tensor:
    return torch.randn((12, 40), generator=torch.Generator().manual_seed(seed))


def synapses(net: SpikingNet) -> dict[str, Synapse]:
    return {name: m for name, m in net.body.named_modules() if isinstance(m, Synapse)}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_integers_are_those_of_the_forward(width: WeightBits) -> None:
    net = prepare(nets.mlp(), width)
    for layer in synapses(net).values():
        whole, scale = layer.integers()
        assert whole.dtype == torch.int32
        assert int(whole.min()) >= width.lowest
        assert int(whole.max()) <= width.highest
        assert torch.equal(layer.effective_weight(), whole * scale[:, None])


@pytest.mark.parametrize("width", WIDTHS)
def test_masked_weights_stay_zero_and_gradients_pass(width: WeightBits) -> None:
    net = prepare(nets.mlp(), width)
    layer = synapses(net)["0"]
    mask = (torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(3)) < 0.3).float()
    layer.set_mask(mask)
    refresh(net)
    effective = layer.effective_weight()
    assert torch.equal(effective[mask == 0], torch.zeros(int((mask == 0).sum())))
    (gradient,) = torch.autograd.grad(effective.sum(), layer.weight)
    assert torch.equal(gradient, mask)


def test_fewer_bits_clip_where_that_lowers_the_error() -> None:
    w = weights()
    for width in (WeightBits.INT4, WeightBits.INT2, WeightBits.TERNARY):
        top = w.abs().amax(1) / min(-width.lowest, width.highest)

        def error(scale: Tensor, width: WeightBits = width) -> Tensor:
            return (on_grid(w, scale, width) * scale[:, None] - w).square().sum(1)

        assert bool((error(best_scale(w, width)) <= error(top) + 1e-6).all())


def test_a_channel_without_weights_takes_a_share_of_the_threshold() -> None:
    net = nets.mlp()
    synapses(net)["2"].set_mask(torch.zeros(4, 16))
    prepare(net, 8)
    assert synapses(net)["2"].integers()[1].tolist() == [2.0**-8] * 4


def test_layers_that_meet_differ_by_powers_of_two() -> None:
    for net in (prepare(nets.residual(), 4), prepare(nets.recurrent(), 3)):
        for afferents in populations(net).values():
            scales = [a.synapse.integers()[1] * a.factor for a in afferents]
            steps = (scales[0] / scales[-1]).log2()
            assert torch.equal(steps, steps.round())
            assert len(steps.unique()) == 1


def test_a_flattened_convolution_meets_a_linear_layer() -> None:
    body = Residual(nn.Sequential(Conv2d(2, 3, 3), Flatten()), nn.Sequential(Flatten(), Linear(32, 12)))
    net = SpikingNet(nn.Sequential(body, LIF(2)), InputSpec((2, 4, 4), Coding.EVENTS, 2), Readout.COUNT)
    conv, linear = (layer.integers()[1] for layer in synapses(prepare(net, 8)).values())
    steps = (linear / conv.repeat_interleave(4)).log2()
    assert torch.equal(steps, steps.round())
    assert len(steps.unique()) == 1


def test_a_graded_population_has_scales_a_power_of_two_below_its_threshold() -> None:
    net = prepare(nets.graded(), 4)
    for name in ("0", "2"):
        factor = {a.name: a.factor for g in populations(net).values() for a in g}[name]
        steps = (0.25 / (synapses(net)[name].integers()[1] * factor)).log2()
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-5)


def test_a_membrane_readout_has_one_scale() -> None:
    net = prepare(nets.mlp(readout=Readout.MEMBRANE_LAST), 8)
    assert len(synapses(net)["2"].integers()[1].unique()) == 1
    assert len(synapses(net)["0"].integers()[1].unique()) > 1


def test_first_and_last_layers_may_have_their_own_width() -> None:
    net = prepare(nets.mlp(), 4, first=8, last="ternary")
    widths = [layer.quantizer.width for layer in synapses(net).values() if layer.quantizer]
    assert widths == [WeightBits.INT8, WeightBits.TERNARY]


def test_a_frozen_scale_keeps_the_integers_it_was_given() -> None:
    net = prepare(nets.mlp(), 4)
    layer = synapses(net)["0"]
    assert layer.quantizer is not None
    scale = torch.linspace(0.01, 0.03, 16)
    wanted = torch.randint(-7, 8, layer.weight.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.weight.copy_(wanted * scale[:, None])
    layer.quantizer.freeze(scale)
    refresh(net)
    assert torch.equal(layer.integers()[0], wanted.int())


def test_training_refreshes_the_scale_and_evaluation_does_not() -> None:
    net = prepare(nets.mlp(), 8)
    layer = synapses(net)["0"]
    before = layer.integers()[1]
    with torch.no_grad():
        layer.weight.mul_(2)
    net.eval()(nets.coded_input(net))
    assert torch.equal(layer.integers()[1], before)
    net.train()(nets.coded_input(net))
    torch.testing.assert_close(layer.integers()[1], before * 2)


def test_folding_batch_norm_keeps_what_the_net_computes() -> None:
    net = nets.conv()
    x = nets.coded_input(net)
    for _ in range(5):
        net.train()(x)
    seen: list[Tensor] = []
    net.neurons()["3"].observers.append(lambda u, s: seen.append(u))
    net.eval()(x)
    fold_batch_norm(net)(x)
    # the gain moved into the weight: float32 products in another order
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-4, atol=1e-4)


def test_quantization_before_folding_is_refused() -> None:
    with pytest.raises(ModelError, match="fold_batch_norm"):
        prepare(nets.conv(), 8)


def test_an_unknown_width_is_refused() -> None:
    with pytest.raises(ModelError, match="found 5, expected"):
        prepare(nets.mlp(), 5)


def test_a_negative_shift_rounds_halves_up() -> None:
    accumulator = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 5.0], dtype=torch.float64)
    assert shifted(accumulator, -2).tolist() == [-1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert shifted(accumulator, 1).tolist() == (accumulator * 2).tolist()


def neuron(threshold: int, fire: Fire = Fire.BINARY) -> IntegerNeuron:
    return IntegerNeuron(
        leak=Leak((2,)),
        fire=fire,
        reset=Reset.SUBTRACT if fire is not Fire.SILENT else Reset.NONE,
        width=StateWidth.INT32,
        v_min=StateWidth.INT32.lowest,
        v_max=StateWidth.INT32.highest,
        frac_bits=0,
        threshold_q=(threshold,),
        reset_q=(threshold,),
        bias_q=(0,),
        start_q=(0,),
    )


def attached() -> SpikingNet:
    net = prepare(nets.mlp(), 8)
    return integer.attach(net, {"1": neuron(400), "3": neuron(90)}, {"0": -7, "2": 0})


def by_hand(net: SpikingNet, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The same net in plain int64, written again from the equations."""
    first, second = (layer.integers()[0].numpy().astype(np.int64) for layer in synapses(net).values())
    v, w = np.zeros((x.shape[1], 16), np.int64), np.zeros((x.shape[1], 4), np.int64)
    spikes, membranes = [], []
    for step in x.numpy().astype(np.int64):
        v = v - (v >> 2) + ((step @ first.T + 64) >> 7)
        s = (v >= 400).astype(np.int64)
        v = v - 400 * s
        w = w - (w >> 2) + s @ second.T
        fired = (w >= 90).astype(np.int64)
        w = w - 90 * fired
        spikes.append(fired)
        membranes.append(w)
    return np.stack(spikes), np.stack(membranes)


def test_the_net_that_trained_is_the_integer_model_in_evaluation_mode() -> None:
    net = attached()
    x = nets.coded_input(net, samples=30)
    spikes, membranes = integer.run(net, x)
    wanted_spikes, wanted_membranes = by_hand(net, x)
    assert np.array_equal(spikes["3"].numpy(), wanted_spikes)
    assert np.array_equal(membranes["3"].numpy(), wanted_membranes)
    assert 0.01 < float(spikes["1"].float().mean()) < 0.9
    assert torch.equal(net.eval()(x).int(), spikes["3"])


def test_training_mode_and_detaching_compute_in_reals_again() -> None:
    net = attached()
    x = nets.coded_input(net)
    whole = net.eval()(x)
    assert net.train()(x).requires_grad
    assert whole.dtype == torch.float64
    assert integer.detach(net).eval()(x).dtype == torch.float32


def test_missing_parts_are_named() -> None:
    net = prepare(nets.mlp(), 8)
    with pytest.raises(ModelError, match="3: found no integer neuron"):
        integer.attach(net, {"1": neuron(9)}, {"0": 0, "2": 0})
    with pytest.raises(ModelError, match="attach first"):
        integer.run(nets.mlp(), nets.coded_input(net))
    with pytest.raises(ModelError, match="0: found no quantizer"):
        integer.attach(nets.mlp(), {"1": neuron(9), "3": neuron(9)}, {"0": 0, "2": 0})


def test_weights_quantized_elsewhere_can_be_given() -> None:
    net = nets.mlp()
    given = {"0": np.ones((16, 12), np.int32), "2": np.ones((4, 16), np.int32)}
    integer.attach(net, {"1": neuron(9), "3": neuron(9)}, {"0": 0, "2": 0}, given)
    spikes, _ = integer.run(net, nets.coded_input(net))
    assert int(spikes["1"].min()) == 1


def test_a_quantizer_travels_in_the_state() -> None:
    net = prepare(nets.mlp(), 4)
    layer = synapses(net)["0"]
    assert isinstance(layer, Linear)
    assert isinstance(layer.quantizer, WeightQuantizer)
    assert {"body.0.quantizer.scale", "body.0.quantizer.frozen"} <= set(net.state_dict())

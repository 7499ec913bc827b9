import math

import pytest
import torch

from pruner.criticality import by_mean, by_rank, criticality
from pruner.gauges import ActivityMeter
from pruner.meters import Meters
from pruner.registry import KERNELS, NORMALIZATIONS
from tests.pruner.nets import conv, events, mlp, recurrent
from trainer.held import hold
from trainer.neuron import Neuron
from trainer.surrogate import Surrogate, SurrogateShape


def arctan_slope(distance: float) -> float:
    return 1.0 / (1.0 + (math.pi * distance) ** 2)


def test_criticality_of_a_tiny_net_equals_the_hand_computation() -> None:
    net = mlp()
    layer, neuron = net.body[0], net.body[1]
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = 0.8
        layer.weight[1, 0] = 1.5
    x = torch.zeros(3, 1, 6)
    x[:, 0, 0] = torch.tensor([1.0, 1.0, 0.0])
    meters = Meters(net)
    net(x)
    meters.remove()
    # beta 1/2, threshold 1, reset by subtraction.
    # neuron 0: u = 0.8; 0.4 + 0.8 = 1.2 (fires, 0.2 left); 0.1
    # neuron 1: u = 1.5 (0.5 left); 0.25 + 1.5 = 1.75 (0.75 left); 0.375
    first = sum(arctan_slope(u - 1.0) for u in (0.8, 1.2, 0.1)) / 3
    second = sum(arctan_slope(u - 1.0) for u in (1.5, 1.75, 0.375)) / 3
    silent = arctan_slope(-1.0)
    found = meters.criticality("0", NORMALIZATIONS["none"])
    assert found is not None
    assert found.tolist() == pytest.approx([first, second, *[silent] * 6], abs=1e-6)
    assert neuron.observers == []


def test_criticality_is_taken_in_units_of_each_threshold() -> None:
    u = torch.tensor([[[0.9, 9.0]]])
    found = criticality(u, torch.tensor([1.0, 10.0]), Surrogate())
    assert found.tolist() == pytest.approx([arctan_slope(0.1)] * 2, abs=1e-6)


@pytest.mark.parametrize("shape", sorted(KERNELS))
def test_criticality_tends_to_the_density_at_the_threshold(shape: str) -> None:
    # u ~ N(0.4, 0.5^2): its density at the threshold 1 is phi(1.2) / 0.5
    generator = torch.Generator().manual_seed(0)
    u = 0.4 + 0.5 * torch.randn(1, 400_000, 1, generator=generator, dtype=torch.float64)
    density = math.exp(-0.5 * 1.2**2) / math.sqrt(2 * math.pi) / 0.5
    # the error of a kernel of width b is O(b) for the heavy-tailed ones, sampling noise about 1 %
    errors = []
    for width in (0.3, 0.03):
        found = criticality(u, torch.ones(1), Surrogate(KERNELS[shape], width))
        errors.append(abs(float(found) - density) / density)
    assert errors[1] < 0.06
    assert errors[1] < errors[0] + 0.01


def test_convolution_neurons_share_one_score_per_channel() -> None:
    net = conv()
    seen: list[torch.Tensor] = []
    neuron = net.body[1]
    assert isinstance(neuron, Neuron)
    meters = Meters(net)
    neuron.observers.append(lambda u, spikes: seen.append(u))
    net(events(net))
    expected = Surrogate().gradient(seen[0].double() - 1.0).mean(dim=(0, 1, 3, 4))
    found = meters.criticality("0", NORMALIZATIONS["none"])
    assert found is not None
    torch.testing.assert_close(found, expected)
    # the second convolution is flattened before its neuron: 16 neurons in 4 channels of 4
    grouped = meters.criticality("2", NORMALIZATIONS["none"])
    assert grouped is not None
    assert grouped.shape == (4,)
    meters.remove()


def test_scores_average_over_passes_by_their_samples() -> None:
    net = mlp()
    first, second = events(net, 4, seed=1), events(net, 12, seed=2)
    apart, together = Meters(net), None
    net(first)
    net(second)
    apart.remove()
    together = Meters(net)
    net(torch.cat([first, second], dim=1))
    together.remove()
    for name in ("0", "2"):
        a, b = (m.criticality(name, NORMALIZATIONS["none"]) for m in (apart, together))
        assert a is not None
        torch.testing.assert_close(a, b)
        rate_a, rate_b = apart.rate(name), together.rate(name)
        assert rate_a is not None
        torch.testing.assert_close(rate_a, rate_b)


def test_evaluation_is_not_measured() -> None:
    net = mlp()
    meters = Meters(net)
    net.eval()
    net(events(net))
    assert meters.rate("0") is None
    assert meters.criticality("0", NORMALIZATIONS["mean"]) is None
    meters.remove()


def test_activity_is_the_mean_input_of_each_presynaptic_neuron() -> None:
    net = mlp()
    x = events(net)
    meters = Meters(net)
    net(x)
    rate = meters.rate("0")
    assert rate is not None
    torch.testing.assert_close(rate, x.double().mean(dim=(0, 1)))
    meters.remove()


def test_a_recurrent_layer_hears_its_own_neuron() -> None:
    net = recurrent()
    spikes: list[torch.Tensor] = []
    meters = Meters(net)
    neuron = net.neurons()["1.neuron"]
    neuron.observers.append(lambda u, s: spikes.append(s))
    net(events(net))
    rate = meters.rate("1.linear")
    assert rate is not None
    torch.testing.assert_close(rate, spikes[0].double().mean(dim=(0, 1)))
    own, feeding = (meters.criticality(name, NORMALIZATIONS["mean"]) for name in ("1.linear", "0"))
    assert own is not None
    torch.testing.assert_close(own, feeding)
    meters.remove()
    assert len(neuron.observers) == 1


def test_synapses_of_a_silent_readout_get_the_mean_score() -> None:
    net = mlp()
    meters = Meters(net)
    net(events(net))
    found = meters.criticality("2", NORMALIZATIONS["mean"])
    assert found is not None
    assert found.tolist() == [1.0] * 4
    meters.remove()


def test_bandwidth_widens_the_kernel() -> None:
    net = mlp()
    x = events(net)
    found = []
    for bandwidth in (1.0, 4.0):
        meters = Meters(net, SurrogateShape.RECTANGLE, bandwidth)
        net(x)
        meters.remove()
        score = meters.criticality("0", NORMALIZATIONS["none"])
        assert score is not None
        found.append(score * Surrogate().width * bandwidth * 2)
    # a rectangle's mean times its width is the share of membranes inside, which can only grow
    assert (found[1] >= found[0] - 1e-9).all()
    assert (found[1] > found[0]).any()


def test_normalized_scores_can_be_compared_between_layers() -> None:
    scores = torch.tensor([1.0, 4.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(by_mean(scores), by_mean(scores * 50))
    assert float(by_mean(scores).mean()) == pytest.approx(1.0)
    assert by_rank(scores).tolist() == pytest.approx([1 / 3, 1.0, 2 / 3])
    assert by_mean(torch.zeros(3, dtype=torch.float64)).tolist() == [0.0] * 3


def slope(shape: SurrogateShape, distance: float, width: float) -> float:
    """The surrogates as their definitions say, in plain Python."""
    d = abs(distance) / width
    if shape is SurrogateShape.ARCTAN:
        return 1.0 / (math.pi * width * (1.0 + d * d))
    if shape is SurrogateShape.FAST_SIGMOID:
        return 1.0 / (2.0 * width * (1.0 + d) ** 2)
    if shape is SurrogateShape.TRIANGLE:
        return max(0.0, 1.0 - d) / width
    return 1.0 / (2.0 * width) if d < 1.0 else 0.0


@pytest.mark.parametrize("shape", list(SurrogateShape))
@pytest.mark.parametrize("bandwidth", [0.25, 1.0, 4.0])
def test_the_score_equals_a_loop_over_samples_steps_and_positions(
    shape: SurrogateShape, bandwidth: float
) -> None:
    net = conv()
    seen: list[torch.Tensor] = []
    neuron = net.body[1]
    assert isinstance(neuron, Neuron)
    neuron.observers.append(lambda u, spikes: seen.append(u.clone()))
    meters = Meters(net, shape, bandwidth)
    net(events(net, batch=2))
    meters.remove()
    (u,) = seen
    width = neuron.surrogate.width * bandwidth
    for channel in range(u.shape[2]):
        total, count = 0.0, 0
        for value in u[:, :, channel].flatten().tolist():
            total += slope(shape, value - 1.0, width)
            count += 1
        found = meters.criticality("0", NORMALIZATIONS["none"])
        assert found is not None
        # float32 membranes and kernel, sums over 150 values
        assert float(found[channel]) == pytest.approx(total / count, rel=1e-5)


def test_a_threshold_a_channel_and_a_negative_one_are_units_too() -> None:
    u = torch.tensor([[[0.5, 3.0, -1.0]]])
    found = criticality(u, torch.tensor([1.0, 2.0, -2.0]), Surrogate(SurrogateShape.TRIANGLE, 1.0))
    assert found.tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert u.tolist() == [[[0.5, 3.0, -1.0]]]


def test_a_constant_input_is_averaged_from_the_one_step_it_is() -> None:
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))
    meters = [ActivityMeter(), ActivityMeter()]
    meters[0].see(hold(x, 5))
    meters[1].see(hold(x, 5).contiguous())
    found, expected = (meter.average for meter in meters)
    assert found.weight == expected.weight == 20
    assert found.total is not None
    torch.testing.assert_close(found.value(), expected.value(), rtol=1e-6, atol=0.0)

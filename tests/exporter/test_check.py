"""Malformed graphs are refused in one sentence that names the layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.check import check, check_integer
from exporter.graph import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Scale,
)
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Coding, Fire, FloatNeuron, InputSpec, Readout, Reset
from tests.builders.graphs import CASES, real, whole

MAP = InputSpec((2, 4, 4), Coding.EVENTS, 4)
FLAT = InputSpec((3,), Coding.EVENTS, 4)


def graph(*nodes: Node, spec: InputSpec = FLAT, output: str = "n") -> Graph:
    return Graph((Input("in", spec), *nodes), output, Readout.COUNT)


def fc(weight: np.ndarray[tuple[int, ...], np.dtype[np.float64]], source: str = "in") -> Linear:
    return Linear("fc", source, weight)


N = Neuron("n", "fc", FloatNeuron())


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_well_formed_in_both_forms(case: str) -> None:
    assert check(real(case))
    assert check_integer(whole(case))


def test_weights_that_are_not_numbers_name_their_layer() -> None:
    weight = np.ones((2, 3))
    weight[1, 1] = np.nan
    with pytest.raises(ModelError, match="fc: found 1 values of weight that are not finite"):
        check(graph(fc(weight), N))


def test_weights_of_the_wrong_shape_name_what_was_expected() -> None:
    with pytest.raises(ModelError, match=r"fc: found weights \(2, 4\).*expected \(outputs, 3\)"):
        check(graph(fc(np.ones((2, 4))), N))


def test_a_linear_layer_on_a_map_asks_for_a_flat_input() -> None:
    with pytest.raises(ModelError, match=r"fc: .*flat input"):
        check(graph(fc(np.ones((2, 32))), N, spec=MAP))


def test_a_convolution_checks_channels_and_groups() -> None:
    conv = Conv("fc", "in", np.ones((4, 2, 3, 3)), groups=2)
    with pytest.raises(ModelError, match=r"fc: .*4 channels"):
        check(graph(conv, N, spec=MAP))


def test_a_window_larger_than_the_map_is_refused() -> None:
    with pytest.raises(ModelError, match=r"fc: .*one whole window"):
        check(graph(Conv("fc", "in", np.ones((4, 2, 7, 7))), N, spec=MAP))


def test_a_cycle_without_delay_is_refused_and_shown() -> None:
    loop = Linear("own", "n", np.ones((2, 2)))
    nodes = (fc(np.ones((2, 3))), loop, Add("sum", ("fc", "own")), Neuron("n", "sum", FloatNeuron()))
    with pytest.raises(ModelError, match="found a cycle without a delay"):
        check(graph(*nodes))
    delayed = replace(loop, delay=1)
    assert check(graph(nodes[0], delayed, *nodes[2:]))


def test_sources_must_stand_first() -> None:
    with pytest.raises(ModelError, match="n: found source 'fc' after it"):
        check(graph(N, fc(np.ones((2, 3)))))


def test_unknown_sources_and_double_names_are_refused() -> None:
    with pytest.raises(ModelError, match="fc: found source 'nowhere'"):
        check(graph(fc(np.ones((2, 3)), "nowhere"), N))
    with pytest.raises(ModelError, match="fc: found 2 nodes of this name"):
        check(graph(fc(np.ones((2, 3))), fc(np.ones((2, 3))), N))


def test_spikes_do_not_add_to_currents() -> None:
    nodes = (fc(np.ones((3, 3))), Add("sum", ("fc", "in")), Neuron("n", "sum", FloatNeuron()))
    with pytest.raises(UnsupportedError, match="sum: found spikes added to currents"):
        check(graph(*nodes))


def test_two_linear_layers_in_a_row_are_refused() -> None:
    nodes = (fc(np.ones((3, 3))), Linear("fc2", "fc", np.ones((2, 3))), Neuron("n", "fc2", FloatNeuron()))
    with pytest.raises(UnsupportedError, match="fc2: found currents"):
        check(graph(*nodes))


def test_averages_of_currents_are_refused() -> None:
    nodes = (
        Conv("c", "in", np.ones((2, 2, 1, 1))),
        Pool("p", "c", PoolKind.AVERAGE, (2, 2), (2, 2)),
        Neuron("n", "p", FloatNeuron()),
    )
    with pytest.raises(UnsupportedError, match="p: found average pooling of currents"):
        check(graph(*nodes, spec=MAP))


def test_border_dependent_averages_are_refused() -> None:
    nodes = (
        Pool("p", "in", PoolKind.AVERAGE, (2, 2), (2, 2), (1, 1)),
        Flatten("flat", "p"),
        fc(np.ones((2, 18)), "flat"),
        N,
    )
    with pytest.raises(UnsupportedError, match=r"p: .*no padding"):
        check(graph(*nodes, spec=MAP))


def test_a_diagonal_has_a_weight_per_channel_or_neuron() -> None:
    with pytest.raises(ModelError, match="s: found 5 weights"):
        check(graph(Scale("s", "in", np.ones(5)), Neuron("n", "s", FloatNeuron())))


def test_neuron_parameters_have_one_value_per_channel_or_neuron() -> None:
    neuron = replace(N, model=FloatNeuron(threshold=(1.0, 1.0, 1.0)))
    with pytest.raises(ModelError, match="n: found 3 values of threshold, expected 1, 2 or 2"):
        check(graph(fc(np.ones((2, 3))), neuron))
    broken = replace(N, model=FloatNeuron(bias=(float("nan"),)))
    with pytest.raises(ModelError, match="n: found bias that is not finite"):
        check(graph(fc(np.ones((2, 3))), broken))


def test_the_output_must_be_a_neuron_that_the_readout_can_read() -> None:
    with pytest.raises(ModelError, match="output: found Linear 'fc'"):
        check(graph(fc(np.ones((2, 3))), N, output="fc"))
    silent = replace(N, model=FloatNeuron(fire=Fire.SILENT, reset=Reset.NONE))
    with pytest.raises(UnsupportedError, match="n: found readout by count of a silent neuron"):
        check(graph(fc(np.ones((2, 3))), silent))


def test_integer_graphs_hold_no_reals() -> None:
    with pytest.raises(ModelError, match="fc: found weights in float64"):
        check_integer(graph(fc(np.ones((2, 3))), N))
    norm = BatchNorm("bn", "fc", np.ones(2), np.zeros(2))
    with pytest.raises(ModelError, match=r"fc|bn"):
        check_integer(graph(fc(np.ones((2, 3))), norm, replace(N, source="bn")))


def test_integer_weights_need_a_scale_and_fit_their_bits() -> None:
    whole_fc = Linear("fc", "in", np.full((2, 3), 9, np.int32), scale=np.ones(2), bits=4)
    with pytest.raises(ModelError, match=r"fc: found weights 9\.\.9, expected them within 4 bits"):
        check(graph(whole_fc, N))
    with pytest.raises(ModelError, match="fc: found integer weights with scale None"):
        check(graph(replace(whole_fc, scale=None), N))

"""NIR files: read as their makers run them, written so that they come back, refused by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest

from exporter.graph import Graph, Linear, Neuron
from exporter.quantize import quantize
from exporter.reference import run, run_float
from exporter.shift_leaks import exact_leak, leak_grid, nearest_leak, shift_leaks
from exporter.sources.nir import graph_from_nir, load_nir
from exporter.sources.nir_neurons import Conventions, Integration
from exporter.targets.nir import export, to_nir
from exporter.wiring import input_of, neurons
from runtime.errors import FormatError, ModelError, SpikepressError, UnsupportedError
from runtime.spec import Compare, Fire, Readout, Reset
from tests.builders import graphs

UNSAYABLE = {"reset to value", "graded", "graded to value", "gate", "current pool", "pooled sum"}
"""Cases with a starting membrane, payloads of neurons, or a max pool."""


def words_of(graph: Graph) -> Conventions:
    """What a reader must be told of a graph whose neurons are all alike."""
    model = next(n.model for n in neurons(graph) if n.model.fire is Fire.BINARY)
    return Conventions(
        dt=1e-4,
        reset=model.reset,
        compare=model.compare,
        reset_timing=model.reset_timing,
        synaptic_order=model.synaptic_order,
    )


def there_and_back(graph: Graph, folder) -> Graph:
    export(graph, folder / "net.nir", lossy=True)
    spec = replace(input_of(graph).spec, scale=1.0)
    return load_nir(folder / "net.nir", words_of(graph), spec=spec, readout=graph.readout)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", sorted(set(graphs.CASES) - UNSAYABLE))
def test_a_graph_that_was_exported_comes_back_with_the_same_spikes(case, seed, tmp_path):
    graph = graphs.real(case, seed)
    again = there_and_back(graph, tmp_path)
    frames = graphs.coded(graph, samples=12, seed=seed)
    before, after = run_float(graph, frames), run_float(again, frames)
    assert set(before.spikes) == set(after.spikes)
    for name, spikes in before.spikes.items():
        np.testing.assert_array_equal(spikes, after.spikes[name])
        np.testing.assert_allclose(before.membranes[name], after.membranes[name], rtol=1e-9, atol=1e-9)
    assert again.meta["nir.reset"] == words_of(graph).reset.value


@pytest.mark.parametrize("case", sorted(UNSAYABLE))
def test_what_nir_has_no_node_for_is_refused_even_when_lossy(case):
    with pytest.raises(UnsupportedError, match="NIR export"):
        to_nir(graphs.real(case), lossy=True)


def test_all_that_a_reader_would_take_for_something_else_is_named_at_once():
    with pytest.raises(UnsupportedError) as error:
        to_nir(graphs.real("late reset"))
    for words in ("hidden", "out", ">= threshold", "subtract", "next step"):
        assert words in str(error.value)


def test_a_portable_graph_is_exported_without_a_word(tmp_path):
    model = graphs.LIF
    model = replace(model, compare=Compare.GREATER, reset=Reset.VALUE)
    graph = graphs.chain(model)(np.random.default_rng(0))
    export(graph, tmp_path / "net.nir")
    frames = graphs.coded(graph)
    again = load_nir(tmp_path / "net.nir", n_steps=8)
    assert input_of(again).spec.shape == (12,)
    for name, spikes in run_float(graph, frames).spikes.items():
        np.testing.assert_array_equal(spikes, run_float(again, frames).spikes[name])


def leaky(n: int, beta: float = 0.9, **changes) -> nir.LIF:
    tau = np.full(n, 1e-4 / (1 - beta))
    given = {"tau": tau, "r": tau / 1e-4, "v_leak": np.zeros(n), "v_threshold": np.ones(n)}
    return nir.LIF(**{**given, **changes})


def chain_of(*nodes: nir.NIRNode, shape=(3,)) -> nir.NIRGraph:
    named = {"in": nir.Input(np.array(shape)), **{f"n{k}": node for k, node in enumerate(nodes)}}
    named["end"] = nir.Output(np.array([1]))
    names = list(named)
    return nir.NIRGraph(named, list(pairwise(names)), type_check=False)


def grouped(groups: object) -> nir.NIRGraph:
    """A convolution with what a file may claim to be its groups."""
    conv = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2))
    conv.groups = groups
    return chain_of(conv, leaky(8), shape=(1, 4, 4))


def test_factors_of_the_current_go_into_the_weights():
    weight = np.arange(6.0).reshape(2, 3)
    node = leaky(2, r=np.array([5.0, 20.0]))
    graph = graph_from_nir(chain_of(nir.Affine(weight, np.ones(2)), node))
    (linear,) = (n for n in graph.nodes if isinstance(n, Linear))
    np.testing.assert_allclose(linear.weight, weight * np.array([[0.5], [2.0]]))
    np.testing.assert_allclose(linear.bias, [0.5, 2.0])


def fired_by_hand(x: np.ndarray, weight: np.ndarray, step, *, several: bool = False) -> np.ndarray:
    """Spikes of neurons of threshold 1 by ``step`` of a state and an input; reset by subtraction."""
    state, found = np.zeros((2, len(weight))), []
    for row in x:
        state = step(state, weight @ row)
        spikes = np.clip(np.floor(state[0]), 0, 3) if several else (state[0] >= 1.0).astype(float)
        state[0] -= spikes
        found.append(spikes)
    return np.array(found)


TAU, SYN = 4e-4, 3e-4
A, B = float(np.exp(-1e-4 / TAU)), float(np.exp(-1e-4 / SYN))
LAWS = {
    "exact": (lambda s, i: np.array([A * s[0] + (1 - A) * 2 * i, i]), False),
    "impulse": (lambda s, i: np.array([A * s[0] + i, i]), False),
    "exact, current": (
        lambda s, i: np.array([A * s[0] + (1 - A) * 2 * (B * s[1] + (1 - B) * i), B * s[1] + (1 - B) * i]),
        True,
    ),
    "impulse, current": (lambda s, i: np.array([A * s[0] + B * (s[1] + i), B * (s[1] + i)]), True),
}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("law", sorted(LAWS))
def test_every_way_to_make_steps_of_an_equation_is_its_law(law, several):
    rng = np.random.default_rng(3)
    weight, x = rng.normal(0.8, 1.0, (5, 3)), (rng.random((60, 3)) < 0.5).astype(np.int32)
    step, current = LAWS[law]
    tau, limits = np.full(5, TAU), {"v_leak": np.zeros(5), "v_threshold": np.ones(5)}
    if current:
        node = nir.CubaLIF(tau_syn=np.full(5, SYN), tau_mem=tau, r=np.full(5, 2.0), **limits)
    else:
        node = nir.LIF(tau=tau, r=np.full(5, 2.0), **limits)
    how = Conventions(
        reset=Reset.SUBTRACT,
        compare=Compare.GREATER_EQUAL,
        integration=Integration(law.split(",", maxsplit=1)[0]),
        payload_bits=2 if several else 1,
    )
    graph = graph_from_nir(chain_of(nir.Linear(weight), node), how)
    expected = fired_by_hand(x, weight, step, several=several)
    assert expected.max() > (1 if several else 0)
    np.testing.assert_array_equal(run_float(graph, x[:, None]).spikes[graph.output][:, 0], expected)
    assert graph.meta["nir.integration"] == how.integration.value


def test_several_spikes_a_step_are_refused_with_the_wrong_comparator_or_width():
    for words in ({"payload_bits": 2}, {"payload_bits": 5, "compare": Compare.GREATER_EQUAL}):
        with pytest.raises(ModelError, match="payload_bits: found"):
            Conventions(**words)
    with pytest.raises(ModelError, match="expected it above 0"):
        graph_from_nir(
            chain_of(nir.Linear(np.ones((2, 3))), leaky(2, 0.9, tau=np.full(2, -1.0))),
            Conventions(integration=Integration.EXACT),
        )


def test_sides_of_one_before_a_row_that_weights_read_are_dropped():
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), leaky(2), shape=(1, 1, 3)))
    assert input_of(graph).spec.shape == (3,)


def test_scales_beside_weights_and_whole_steps_of_delay_become_part_of_them():
    weight = np.arange(6.0).reshape(2, 3)
    found = chain_of(
        nir.Scale(np.array([1.0, 2.0, 3.0])),
        nir.Delay(np.full(3, 2e-4)),
        nir.Linear(weight),
        nir.Scale(np.array([1.0, -1.0])),
        leaky(2),
    )
    (linear,) = (n for n in graph_from_nir(found).nodes if isinstance(n, Linear))
    np.testing.assert_allclose(linear.weight, weight * [[1.0, 2.0, 3.0]] * np.array([[1.0], [-1.0]]))
    assert linear.delay == 2


def test_a_loop_gets_one_step_of_delay_and_graphs_inside_graphs_are_opened():
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([2])),
            "lif": leaky(2),
            "w_rec": nir.Linear(np.eye(2)),
            "output": nir.Output(np.array([2])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        type_check=False,
    )
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), inner))
    delays = {n.name: n.delay for n in graph.nodes if isinstance(n, Linear)}
    assert delays == {"n0": 0, "n1.w_rec": 1}
    assert graph.output == "n1.lif"


def test_a_leak_off_the_grid_runs_as_it_is_and_becomes_the_nearest_one_where_asked():
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), leaky(2, beta=0.9)))
    (neuron,) = neurons(graph)
    assert neuron.model.decay == pytest.approx((0.9,))
    with pytest.raises(UnsupportedError, match="shift_leaks"):
        quantize(graph)
    shifted, (change,) = shift_leaks(graph)
    assert change.leak == nearest_leak(0.9)
    assert change.error == pytest.approx(abs(0.9 - change.leak.beta))
    assert change.error < 0.0063
    frames = np.ones((4, 2, 3), np.int32)
    assert run(quantize(shifted), frames).spikes["n1"].shape == (4, 2, 2)


def test_a_leak_on_the_grid_is_recognised_through_32_bit_floats():
    for leak in leak_grid():
        share = np.float32(1.0 - leak.beta)
        assert exact_leak(float(np.float64(1.0) - np.float64(share))) == leak
    assert exact_leak(0.9) is None


def test_leaks_that_differ_in_one_population_run_but_are_refused_in_integers():
    tau = np.array([1e-3, 2e-4])
    node = nir.LIF(tau, tau / 1e-4, np.zeros(2), np.ones(2))
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), node))
    assert len(set(neurons(graph)[0].model.decay)) == 2
    run_float(graph, np.ones((3, 1, 3), np.int32))
    with pytest.raises(UnsupportedError, match=r"n1: found 2 .* one population"):
        shift_leaks(graph)


def test_a_silent_output_is_read_by_its_membrane_and_a_threshold_has_no_memory():
    tau = np.full(2, 1e-3)
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), nir.LI(tau, tau / 1e-4, np.zeros(2))))
    assert graph.readout is Readout.MEMBRANE_LAST
    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), nir.Threshold(np.full(2, 1.5))))
    frames = np.array([[[1, 1, 0]], [[1, 0, 0]], [[1, 1, 1]]], np.int32)
    np.testing.assert_array_equal(run_float(graph, frames).spikes["n1"][:, 0, 0], [1, 0, 1])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (lambda: chain_of(nir.Linear(np.ones((2, 3))), leaky(2, v_threshold=np.full(2, np.nan))), "finite"),
        (lambda: chain_of(nir.Linear(np.ones((2, 3))), leaky(2, beta=-1.0)), "at least dt"),
        (lambda: chain_of(nir.Linear(np.ones((2, 4))), leaky(2)), "n0"),
        (lambda: chain_of(nir.Linear(np.ones((2, 3)))), "expected a neuron"),
        (lambda: chain_of(nir.Delay(np.full(3, 1.5e-4)), nir.Linear(np.ones((2, 3))), leaky(2)), "whole"),
        (lambda: chain_of(nir.Flatten({"input": np.array([3])}, 1, 2), leaky(3)), "Flatten"),
        (lambda: grouped(np.array([1, 1])), r"n0: found groups of \[1.0, 1.0\], expected one whole number"),
        (lambda: grouped(1.5), "n0: found groups"),
        (lambda: grouped(np.array([])), "n0: found groups that is empty"),
    ],
)
def test_what_cannot_be_is_refused_by_name(found, words):
    with pytest.raises(SpikepressError, match=words):
        graph_from_nir(found())


def test_a_loop_that_no_linear_map_closes_is_refused():
    found = chain_of(nir.Linear(np.ones((2, 3))), leaky(2))
    found.edges.append(("n1", "n1"))
    with pytest.raises(UnsupportedError, match="loop"):
        graph_from_nir(found)


def test_dt_must_be_a_time():
    with pytest.raises(ModelError, match="dt"):
        Conventions(dt=0.0)


def test_an_array_of_nothing_that_claims_to_be_huge_is_refused_before_it_is_read(tmp_path):
    import h5py

    path = tmp_path / "bomb.nir"
    export(graphs.real("linear"), path, lossy=True)
    with h5py.File(path, "a") as file:
        del file["node/nodes/fc1/weight"]
        file["node/nodes/fc1"].create_dataset("weight", (1 << 20, 1 << 12), "f8", compression="gzip")
    with pytest.raises(FormatError, match="stored in"):
        load_nir(path)


def test_links_out_of_the_file_are_refused(tmp_path):
    import h5py

    path = tmp_path / "link.nir"
    export(graphs.real("linear"), path, lossy=True)
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        file["x"] = np.ones(3)
    with h5py.File(path, "a") as file:
        file["node/other"] = h5py.ExternalLink("elsewhere.h5", "/x")
    with pytest.raises(FormatError, match="found a link at 'other'"):
        load_nir(path)


def test_an_unwritable_place_is_named(tmp_path):
    with pytest.raises(SpikepressError, match="writable"):
        export(graphs.real("linear"), tmp_path / "no" / "net.nir", lossy=True)
    assert list(tmp_path.iterdir()) == []


def test_the_neuron_of_an_imported_graph_may_be_stored(tmp_path):
    from exporter import graph_file

    graph = graph_from_nir(chain_of(nir.Linear(np.ones((2, 3))), leaky(2, beta=0.9)))
    graph_file.save(graph, tmp_path / "g.npz")
    (neuron,) = neurons(graph_file.load(tmp_path / "g.npz"))
    assert isinstance(neuron, Neuron)
    assert neuron.model == neurons(graph)[0].model

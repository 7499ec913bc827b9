"""Our operation counts beside those of NeuroBench, which hooks a torch twin of each net.

NeuroBench calls a layer's operations ACs when the batch it sees is binary and MACs otherwise; it does
not know of an input that is constant over the steps, nor of bits of a payload.
"""

import os
import sys
import warnings

import numpy as np
import pytest
import torch

from runtime.encodings import CANDIDATES
from runtime.engine import Engine, Objective
from runtime.program import ConvSynapses, LinearSynapses
from runtime.spec import Coding
from tests.parity_neurobench.nets import N_STEPS, Case, Replay, random_case

SEEDS = range(24)


@pytest.fixture(scope="module")
def neurobench():
    return load_neurobench()


def load_neurobench():
    """(TorchModel, SynapticOperations) of NeuroBench. Missing, it skips, or fails where it is required."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from neurobench.metrics.workload import SynapticOperations
            from neurobench.models import TorchModel
    except ImportError as error:
        if os.environ.get("SPIKEPRESS_REQUIRE_NEUROBENCH") == "1":
            pytest.fail(f"neurobench is required here and cannot be imported: {error}")
        pytest.skip("neurobench is not installed")
    return TorchModel, SynapticOperations


def run(case: Case, objective: Objective = Objective.FLASH):
    """Counts of a run, and what entered each projection: (steps, samples, *shape)."""
    result = Engine(case.program, objective).run(case.coded, trace=True)
    assert result.trace is not None
    inputs = [case.coded]
    for projection in case.program.projections[1:]:
        spikes = result.trace.spikes[case.program.populations[projection.pre].name]
        assert 0 < spikes.mean() < 1, "a dead or saturated layer proves nothing"
        assert isinstance(projection.synapses, LinearSynapses), "only first layers are convolutions here"
        inputs.append(spikes)
    return result.counts, inputs


def mask_times(weight, synapses, x):
    """Surviving valid targets of each nonzero (or counted) element of x (frames, *shape), summed."""
    alive = (weight != 0).astype(np.int64)
    if isinstance(synapses, LinearSynapses):
        return int((x.astype(np.int64) @ alive.T).sum())
    (stride, _), (padding, _) = synapses.stride, synapses.padding
    _, height, width = synapses.out_shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))).astype(np.int64)
    per_group = weight.shape[0] // synapses.groups
    total = 0
    for o, i, ky, kx in np.argwhere(alive):
        channel = (o // per_group) * weight.shape[1] + i
        rows = slice(ky, ky + stride * (height - 1) + 1, stride)
        columns = slice(kx, kx + stride * (width - 1) + 1, stride)
        total += int(padded[:, channel, rows, columns].sum())
    return total


def parts(case: Case, inputs):
    """(projection, weight, its input over all frames) of a case."""
    frames = [x.reshape(-1, *x.shape[2:]) for x in inputs]
    return zip(case.program.projections, case.weights, frames, strict=True)


@pytest.mark.parametrize("objective", list(Objective))
@pytest.mark.parametrize("seed", SEEDS)
def test_effective_acs_are_the_mask_times_the_spikes(seed, objective):
    case = random_case(seed)
    counts, inputs = run(case, objective)
    direct = case.program.input.coding is Coding.DIRECT
    for number, (projection, weight, x) in enumerate(parts(case, inputs)):
        found = counts.projections[projection.name]
        if direct and number == 0:
            once = np.bitwise_count(case.coded[0].astype(np.uint32))
            assert found.input_adds == mask_times(weight, projection.synapses, once)
            assert found.effective_acs == 0
        else:
            assert found.effective_acs == mask_times(weight, projection.synapses, x)
            assert found.input_adds == 0
    assert counts.effective_acs == sum(c.effective_acs for c in counts.projections.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_effective_acs_equal_those_of_neurobench(seed, neurobench):
    torch_model, synaptic_operations = neurobench
    case = random_case(seed)
    counts, inputs = run(case)
    twin = Replay(case, tuple(torch.from_numpy(x.astype(np.float32)) for x in inputs))
    model, metric = torch_model(twin), synaptic_operations()
    model.register_hooks()
    batch = torch.zeros(case.coded.shape[1], 1)
    theirs = metric(model, model(batch), (batch, batch))
    model.cleanup_hooks()

    assert float(metric.AC) == counts.effective_acs
    assert float(theirs["Effective_ACs"]) == pytest.approx(counts.effective_acs / len(batch), rel=1e-6)
    first = case.program.projections[0]
    if case.program.input.coding is Coding.DIRECT:
        analog = mask_times(case.weights[0], first.synapses, case.coded[0] != 0)
        # by its own rule every step counts, by ours a constant input is added once a sample
        assert float(metric.MAC) == analog * N_STEPS
        assert counts.projections[first.name].input_adds >= analog
    else:
        assert float(metric.MAC) == 0


def test_the_nets_cover_every_encoding_and_kind_of_layer():
    cases = [random_case(seed) for seed in SEEDS]
    assert {table.encoding for case in cases for table in case.program.tables} == set(CANDIDATES)
    convs = [p.synapses for case in cases for p in case.program.projections]
    convs = [one for one in convs if isinstance(one, ConvSynapses)]
    assert {one.groups for one in convs} == {1, 2}
    assert {one.stride for one in convs} == {(1, 1), (2, 2)}
    assert {one.padding for one in convs} == {(0, 0), (1, 1)}


def test_a_missing_neurobench_fails_where_it_is_required_and_skips_elsewhere(monkeypatch):
    for name in ("neurobench", "neurobench.models", "neurobench.metrics.workload"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("SPIKEPRESS_REQUIRE_NEUROBENCH", "1")
    with pytest.raises(pytest.fail.Exception, match="required"):
        load_neurobench()
    monkeypatch.delenv("SPIKEPRESS_REQUIRE_NEUROBENCH")
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        load_neurobench()

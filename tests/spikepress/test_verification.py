"""``verify`` on a real run: exact as exported, and each planted defect named at its first place."""

import json
import shutil

import numpy as np
import pytest
import torch

from runtime.coding import encode_input
from runtime.errors import ConfigError, DataError, FormatError
from spikepress.legs import LEGS, Artifacts, Leg, integer_parameters, reference_leg
from spikepress.rundir import RunDirectory
from spikepress.samples import raw_samples, samples_of_test, stress_samples
from spikepress.verification import verify
from tests.spikepress.defects import DEFECTS, PLANT
from tests.spikepress.defects_in_c import C_LEGS, plant_in_c

SAMPLES = 40


@pytest.fixture
def run_copy(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def healthy(small_run):
    return verify(small_run, samples=SAMPLES)


def test_every_leg_of_a_trained_run_is_exact(healthy):
    assert healthy.exact
    assert {leg.leg for leg in healthy.legs} == {"torch", "runtime", "onnx"}
    assert json.loads(json.dumps(healthy.as_json()))["exact"] is True


def test_the_twin_with_narrow_bounds_clamps_and_every_leg_agrees(healthy):
    assert healthy.clamps > 0
    assert all(leg.exact for leg in healthy.saturated)


def test_a_leg_that_does_not_clamp_departs_on_the_twin(small_run, monkeypatch):
    clamp = torch.Tensor.clamp
    # Only the neuron's own clamp names both bounds by position.
    monkeypatch.setattr(torch.Tensor, "clamp", lambda v, *both, **one: v if both else clamp(v, **one))
    result = verify(small_run, samples=SAMPLES, legs=("torch",))
    assert not result.saturated[0].exact
    assert any("with narrow bounds" in sentence for sentence in result.sentences)


def test_the_samples_meet_ties_and_both_signs(healthy):
    assert sum(layer.ties for layer in healthy.activity) > 0
    for layer in healthy.activity:
        assert layer.positive > 0
        assert layer.negative > 0


def test_validation_samples_follow_where_the_test_set_is_short(small_run):
    run = RunDirectory(small_run)
    test = samples_of_test(run).x
    more = raw_samples(run, None, None, len(test) + 40)
    assert len(more) == len(test) + 40
    np.testing.assert_array_equal(more[: len(test)], test)
    assert len(raw_samples(run, None, None, 10_000)) < 1_797, "training samples are never among them"
    np.testing.assert_array_equal(raw_samples(run, None, None, 7), test[:7])


def first_place_by_hand(run, leg_name):
    """Walks samples, steps, layers and neurons in order until two traces part."""
    artifacts = Artifacts(RunDirectory(run))
    spec = artifacts.graph.nodes[0].spec
    x = samples_of_test(artifacts.run).x[:SAMPLES]
    coded = encode_input(np.concatenate([x, stress_samples(spec, x.shape[1:])]), spec)
    expected, found = reference_leg(artifacts, coded), LEGS[Leg(leg_name)](artifacts, coded)
    for sample in range(coded.shape[1]):
        for step in range(coded.shape[0]):
            for layer in expected.membranes:
                right, wrong = ([t.spikes[layer], t.membranes[layer]] for t in (expected, found))
                apart = np.any(np.array(right)[:, step, sample] != np.array(wrong)[:, step, sample], axis=0)
                if apart.any():
                    return sample, step, layer, int(np.flatnonzero(apart)[0])
    return None


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("leg", PLANT)
def test_a_planted_defect_is_named_at_its_first_place(run_copy, monkeypatch, leg, defect):
    PLANT[leg](run_copy, defect, monkeypatch)
    legs = [name.value for name in Leg]
    result = verify(run_copy, samples=SAMPLES, legs=legs)
    departing = {entry.leg for entry in result.legs if not entry.exact}
    if leg == "reference":
        assert departing == set(legs), "when the reference itself is wrong, every other leg departs from it"
    elif leg == "runtime" and defect != "leak rounding":
        # Planted in the .spk file, which the firmware is generated from as well.
        assert departing == set(legs) - {"torch", "onnx"}
    else:
        assert departing == {leg}
    for entry in result.legs:
        if entry.leg in departing:
            first = entry.first
            place = (first.sample, first.step, first.layer, first.neuron)
            assert place == first_place_by_hand(run_copy, entry.leg)
            assert first.sentence in " ".join(result.sentences)
    assert not result.exact


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("leg", C_LEGS)
def test_a_defect_planted_in_generated_c_is_named_at_its_first_place(run_copy, monkeypatch, leg, defect):
    plant_in_c(run_copy, leg, defect, monkeypatch)
    result = verify(run_copy, samples=SAMPLES, legs=C_LEGS)
    (wrong,) = (entry for entry in result.legs if not entry.exact)
    assert wrong.leg == leg
    first = wrong.first
    assert (first.sample, first.step, first.layer, first.neuron) == first_place_by_hand(run_copy, leg)
    assert first.sentence in " ".join(result.sentences)


def test_a_shipped_onnx_model_that_predicts_otherwise_is_noticed(run_copy):
    PLANT["onnx"](run_copy, "neuron order", None)
    shutil.move(run_copy / "model-traced.onnx", run_copy / "model.onnx")
    from spikepress.pipeline import export

    shutil.copy(run_copy / "model.onnx", run_copy / "kept.onnx")
    export(run_copy)
    shutil.move(run_copy / "kept.onnx", run_copy / "model.onnx")
    (result,) = verify(run_copy, samples=SAMPLES, legs=("onnx",)).legs
    assert result.differing_spikes == 0
    assert result.differing_predictions > 0


def test_an_unknown_leg_and_a_missing_file_are_refused(run_copy):
    with pytest.raises(ConfigError, match="torch"):
        verify(run_copy, legs=("verilog",))
    (run_copy / "model.spk").unlink()
    with pytest.raises(DataError, match="spikepress export"):
        verify(run_copy, legs=("runtime",))


def test_a_damaged_artefact_is_a_format_error(run_copy):
    content = bytearray((run_copy / "model.spk").read_bytes())
    content[len(content) // 2] ^= 1
    (run_copy / "model.spk").write_bytes(content)
    with pytest.raises(FormatError):
        verify(run_copy, legs=("runtime",))
    (run_copy / "model-traced.onnx").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="ONNX"):
        verify(run_copy, legs=("onnx",))


def test_parameters_of_the_whole_graph_cover_every_population(small_run):
    artifacts = Artifacts(RunDirectory(small_run))
    populations, shifts = integer_parameters(artifacts.whole_graph)
    assert len(populations) == 2
    assert len(shifts) == 2

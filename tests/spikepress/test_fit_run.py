"""``fit`` on a whole run: the folder it writes is a run that can be run, verified and reported."""

from __future__ import annotations

import json
import shutil

import pytest

from exporter.plan import plan
from runtime import container
from runtime.errors import ConfigError, DataError
from spikepress.catalog import Resource
from spikepress.fitting import Limits, fit
from spikepress.needs import needs_of
from spikepress.pipeline import run
from spikepress.verification import verify

BUDGET = Limits(flash=4_000, ram=1_000)


@pytest.fixture(scope="module")
def fitted(small_run, tmp_path_factory):
    """A copy of the small run, and what ``fit`` found for it."""
    copy = tmp_path_factory.mktemp("fit") / "run"
    shutil.copytree(small_run, copy)
    return copy, fit(copy, limits=BUDGET)


def test_the_model_written_fits_by_its_own_bytes(fitted):
    _, result = fitted
    assert result.fits
    program = container.read(result.output / "model.spk")
    needs = needs_of(program, plan(program, result.judgement.layout.schedule))
    assert needs[Resource.FLASH] <= 4_000
    assert needs[Resource.RAM] <= 1_000
    assert needs == result.judgement.layout.needs


def test_the_folder_written_runs_and_verifies(fitted):
    _, result = fitted
    assert run(result.output).accuracy == result.test_accuracy
    assert verify(result.output, samples=20).exact


def test_what_was_found_is_kept_beside_the_model(fitted):
    _, result = fitted
    told = json.loads((result.output / "fit.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(result.as_json()))
    assert told["model"]["worst_synops"] >= told["model"]["synops"] > 0
    assert told["binding"] in told["shares"]
    assert len(told["front"]) >= 2


def test_a_second_fit_makes_nothing_anew(fitted):
    copy, result = fitted
    again = fit(copy, limits=BUDGET)
    assert again.model == result.model
    assert again.kept == result.tried - 1
    assert again.test_accuracy == result.test_accuracy


def test_a_budget_that_holds_the_runs_own_model_may_return_it(fitted):
    copy, _ = fitted
    result = fit(copy, limits=Limits(flash=10**6, ram=10**6, accuracy=0.0), output=copy.parent / "large")
    assert result.fits
    assert result.model.accuracy >= max(model.accuracy for model in result.front)


def test_no_says_what_is_nearest_and_what_would_do(fitted):
    copy, _ = fitted
    result = fit(copy, limits=Limits(flash=3_200, ram=1_000), output=copy.parent / "none")
    assert not result.fits
    assert result.sentence.startswith("no: ")
    assert result.proposal.device.name == "ch32v003"
    assert not (copy.parent / "none" / "model.spk").exists()


def test_the_run_itself_is_refused_as_output(fitted):
    copy, _ = fitted
    with pytest.raises(ConfigError, match="another folder"):
        fit(copy, limits=BUDGET, output=copy)


def test_a_run_without_a_trained_network_is_refused(tmp_path):
    with pytest.raises(DataError, match="spikepress train"):
        fit(tmp_path, limits=BUDGET)

"""The run directory and its files."""

import pytest

from runtime.errors import DataError, OutputError
from spikepress.rundir import RunDirectory, read_json, run_directory_of, write_json


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected a writable folder"):
        RunDirectory(tmp_path / "file" / "run").create()


def test_starting_anew_clears_what_a_run_wrote_and_nothing_else(tmp_path):
    run = RunDirectory(tmp_path).create()
    for file in (run.program, run.checkpoint("pruned"), run.stages, run.page):
        file.touch()
    (tmp_path / "notes.txt").touch()
    run.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_of_a_run_names_the_run(tmp_path):
    run = RunDirectory(tmp_path / "run").create()
    write_json(run.summary, {"accuracy": 0.5})
    assert run_directory_of(run.summary).path == run.path
    assert run_directory_of(run.path).path == run.path
    assert read_json(run.summary) == {"accuracy": 0.5}


def test_a_missing_stage_says_which_command_makes_it(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(DataError, match="spikepress export"):
        run.require(run.program, "spikepress export")


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="expected a JSON object"):
        read_json(tmp_path / "x.json")

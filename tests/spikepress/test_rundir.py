"""Files of a run appear whole or not at all."""

import pytest

from runtime.errors import DataError, OutputError
from spikepress.rundir import RunDirectory, appearing, read_json, run_directory_of, write_json


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "model.spk"
    with appearing(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.suffix == ".spk"
    assert path.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "model.spk"
    path.write_bytes(b"old")

    def fail():
        with appearing(path) as temporary:
            temporary.write_bytes(b"new, but broken")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected a writable folder"):
        RunDirectory(tmp_path / "file" / "run").create()


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

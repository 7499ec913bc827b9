"""Events as they come: a recording or a pipe gives what the same events give as frames of a data set."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from runtime import container
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError, UnsupportedError
from runtime.spec import Coding, InputSpec
from spikepress.cli import app
from spikepress.live import MOST_SILENCE, Event, events_of_file, events_of_lines, is_recording, live
from tests.builders.programs import Builder, mlp
from tests.trainer_datasets.files import dat_bytes, nmnist_bytes
from trainer.datasets.events import EventGrid, Events, bin_events

STEPS, SAMPLES, STEP_US = 4, 5, 100


def spec(shape=(2, 6, 5), bits=2):
    return InputSpec(shape, Coding.EVENTS, STEPS, bits=bits, step_us=STEP_US)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    build = Builder(np.random.default_rng(3), spec())
    build.linear(0, build.neurons((12,)))
    build.linear(1, build.neurons((4,)), "rice")
    path = tmp_path_factory.mktemp("live") / "net.spk"
    container.write(build.program(classes=("a", "b", "c", "d")), path)
    return path


@pytest.fixture(scope="module")
def recording():
    """Events of five samples in the order of their times, some at one place in one step."""
    rng = np.random.default_rng(4)
    n = 700
    t = np.sort(rng.integers(0, STEPS * SAMPLES * STEP_US, n))
    x, y, p = rng.integers(0, 3, n), rng.integers(0, 6, n), rng.integers(0, 2, n)
    return Events(x, y, p, t)


def frames_of(events, bits=2):
    """(steps, samples, 2, 6, 5), as a data set bins them."""
    frames = bin_events(events, EventGrid(STEPS * SAMPLES, 6, 5, STEP_US, bits), "here")
    return frames.reshape(SAMPLES, STEPS, 2, 6, 5).swapaxes(0, 1).astype(np.int32)


def one_by_one(events):
    columns = (events.t, events.x, events.y, events.p)
    return [Event(*(int(v) for v in row)) for row in zip(*columns, strict=True)]


def test_decisions_are_those_of_the_same_events_in_frames(model, recording):
    whole = Engine(container.read(model)).run(frames_of(recording))
    found = list(live(model, one_by_one(recording)))
    assert [one.scores for one in found] == [tuple(row) for row in whole.scores.tolist()]
    assert [one.prediction for one in found] == whole.predictions.tolist()
    assert [one.label for one in found] == ["abcd"[k] for k in whole.predictions]
    assert sum(one.synops for one in found) == whole.counts.effective_acs > 0
    assert sum(one.events for one in found) == len(recording.t)
    assert [one.t for one in found] == [STEPS * STEP_US * (k + 1) for k in range(SAMPLES)]


def test_carried_on_the_samples_are_one(model, recording):
    engine = Engine(container.read(model))
    for frame in frames_of(recording).swapaxes(0, 1).reshape(-1, 2, 6, 5):
        engine.step(frame)
    found = list(live(model, one_by_one(recording), carry=True))
    assert found[-1].scores == tuple(engine.scores.tolist())
    assert found[-1].scores != list(live(model, one_by_one(recording)))[-1].scores


def test_time_begins_with_the_sample_of_the_first_event(model, recording):
    later = [event._replace(t=event.t + 7 * STEPS * STEP_US) for event in one_by_one(recording)]
    found = list(live(model, later))
    assert [one.scores for one in found] == [one.scores for one in live(model, one_by_one(recording))]
    assert found[0].t == 8 * STEPS * STEP_US
    assert list(live(model, [])) == []


@pytest.mark.parametrize("shape", [(1, 6, 5), (6, 5)])
def test_polarities_share_a_channel_where_there_is_one(tmp_path, recording, shape):
    build = Builder(np.random.default_rng(3), spec(shape, bits=4))
    build.linear(0, build.neurons((4,)))
    container.write(build.program(), tmp_path / "net.spk")
    frames = frames_of(recording, bits=8).sum(axis=2)
    frames = np.minimum(frames, 15).reshape(STEPS, SAMPLES, *shape).astype(np.int32)
    scores = Engine(build.program()).run(frames).scores
    found = [one.scores for one in live(tmp_path / "net.spk", one_by_one(recording))]
    assert found == [tuple(row) for row in scores.tolist()]


def write_recordings(folder, events):
    columns = {name: getattr(events, name) for name in "xypt"}
    (folder / "a.bin").write_bytes(nmnist_bytes(*columns.values()))
    (folder / "a.dat").write_bytes(dat_bytes(*columns.values()))
    np.savez(folder / "a.npz", **columns)
    with h5py.File(folder / "root.h5", "w") as file:
        for name, values in columns.items():
            file[name] = values
    with h5py.File(folder / "group.hdf5", "w") as file:
        for name, values in columns.items():
            file.create_dataset(f"events/{name}s", data=values, compression="gzip")
    record = [("x", "u2"), ("y", "u2"), ("polarity", "u1"), ("timestamp", "i8")]
    with h5py.File(folder / "record.h5", "w") as file:
        file["events"] = np.array(list(zip(*columns.values(), strict=True)), record)
    return sorted(path for path in folder.iterdir() if path.suffix != ".spk")


def test_every_kind_of_recording_is_the_same_stream(tmp_path, recording, model):
    files = write_recordings(tmp_path, recording)
    assert len(files) == 6
    expected = [one.scores for one in live(model, one_by_one(recording))]
    for file in files:
        assert is_recording(str(file))
        assert [one.scores for one in live(model, events_of_file(file))] == expected, file.name


def test_the_command_reads_files_and_a_pipe(tmp_path, recording, model):
    file = write_recordings(tmp_path, recording)[0]
    text = "t,x,y,p\n# a remark\n\n" + "".join(f"{e.t},{e.x},{e.y},{e.p}\n" for e in one_by_one(recording))
    piped = CliRunner().invoke(app, ["run", str(model), "--data", "-", "--json"], input=text)
    read = CliRunner().invoke(app, ["run", str(model), "--data", str(file), "--json"])
    assert piped.exit_code == read.exit_code == 0
    assert piped.output == read.output
    lines = [json.loads(line) for line in piped.output.splitlines()]
    assert [tuple(line["scores"]) for line in lines] == [o.scores for o in live(model, one_by_one(recording))]
    short = CliRunner().invoke(app, ["run", str(model), "--data", str(file), "--samples", "2"])
    assert len(short.output.splitlines()) == 2
    assert "additions" in short.output


def test_a_sample_is_told_as_soon_as_a_later_event_comes(model):
    def pipe():
        for t in (0, 350, 400):
            seen.append(t)
            yield Event(t, 1, 1, 0)

    seen: list[int] = []
    first = next(live(model, pipe()))
    assert seen == [0, 350, 400]
    assert first.t == 400


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([(500, 0, 0, 0), (399, 0, 0, 0)], "t = 399 after step 5"),
        ([(0, 5, 0, 0)], r"x = 5 at t = 0, expected 0\.\.4"),
        ([(0, 0, -1, 0)], r"y = -1 at t = 0, expected 0\.\.5"),
        ([(0, 0, 0, 2)], r"p = 2 at t = 0, expected 0\.\.1"),
        ([(0, 0, 0, 0), (10**18, 0, 0, 0)], f"expected at most {MOST_SILENCE}"),
    ],
)
def test_what_is_no_event_is_refused(model, events, found):
    with pytest.raises(DataError, match=found):
        list(live(model, [Event(*event) for event in events]))


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d", "1.5,0,0,0", "1,2,3,4,5", "1" * 300, "\x00,,,"])
def test_a_line_that_is_none_is_refused(line):
    with pytest.raises(DataError, match="line 2: found"):
        list(events_of_lines(io.StringIO(f"0,0,0,0\n{line}\n")))


def test_a_network_that_hears_no_events_is_refused(tmp_path):
    still = InputSpec((3,), Coding.DIRECT, 4, bits=4, constant=True)
    container.write(mlp((3, 2), spec=still), tmp_path / "net.spk")
    with pytest.raises(UnsupportedError, match="direct input"):
        next(live(tmp_path / "net.spk", [Event(0, 0, 0, 0)]))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "net.spk"), "--carry"])
    assert isinstance(done.exception, ConfigError)

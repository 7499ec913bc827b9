import numpy as np
import pytest

from runtime.errors import DataError
from trainer.datasets import load
from trainer.datasets.events import EventGrid, Events, bin_events, read_dat, read_events_npz, read_nmnist_bin

from .files import dat_bytes, nmnist_bytes

X, Y, P, T = [3, 33, 0, 3], [0, 12, 33, 0], [1, 0, 1, 1], [5, 40_000, 336_040, 9]


def write_nmnist_subset(path, n=20):
    arrays = {}
    for split in ("train", "test"):
        columns = dict(zip("xypt", (X, Y, P, T), strict=True))
        arrays |= {f"{key}_{split}": np.array(values * n) for key, values in columns.items()}
        arrays[f"offset_{split}"] = np.arange(n + 1) * 4
        arrays[f"label_{split}"] = np.arange(n) % 10
    np.savez(path, **arrays)
    return arrays


def as_lists(events):
    return [part.tolist() for part in (events.x, events.y, events.p, events.t)]


def test_nmnist_records_decode(tmp_path):
    (tmp_path / "a.bin").write_bytes(nmnist_bytes(X, Y, P, T))
    assert as_lists(read_nmnist_bin(tmp_path / "a.bin")) == [X, Y, P, T]


def test_prophesee_events_decode(tmp_path):
    (tmp_path / "a.dat").write_bytes(dat_bytes(X, Y, P, T))
    assert as_lists(read_dat(tmp_path / "a.dat")) == [X, Y, P, T]


def test_events_are_counted_in_their_bins_and_clipped():
    events = Events(*(np.array(part) for part in (X, Y, P, T)))
    for bits, count in ((1, 1), (2, 2)):
        frames = bin_events(events, EventGrid(10, 34, 34, 33_605, bits), "here")
        assert frames.shape == (10, 2, 34, 34)
        assert frames[0, 1, 0, 3] == count
        assert frames[1, 0, 12, 33] == frames[9, 1, 33, 0] == 1
        assert frames.sum() == count + 2


def test_events_after_the_last_bin_are_left_out():
    events = Events(*(np.array(part) for part in (X, Y, P, T)))
    assert bin_events(events, EventGrid(1, 34, 34, 10), "here").sum() == 1


def test_an_event_outside_the_sensor_is_refused():
    events = Events(*(np.array([v]) for v in (34, 0, 0, 0)))
    with pytest.raises(DataError, match=r"here: found x = 34 in an event, expected 0\.\.33"):
        bin_events(events, EventGrid(1, 34, 34, 10), "here")


def test_nmnist_loads_from_the_packed_file_and_from_folders_alike(tmp_path):
    write_nmnist_subset(tmp_path / "nmnist_small.npz")
    packed = load("nmnist", tmp_path)
    for k in range(20):
        for split in ("Train", "Test"):
            folder = tmp_path / "original" / "N-MNIST" / split / str(k % 10)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{k:05d}.bin").write_bytes(nmnist_bytes(X, Y, P, T))
    folders = load("nmnist", tmp_path / "original")
    for (_, one), (_, two) in zip(packed.named(), folders.named(), strict=True):
        assert np.array_equal(one.x, two.x)
        assert np.array_equal(one.y, two.y)
    assert packed.info.sample_shape == (10, 2, 34, 34)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("offset_train", np.arange(21) * 3, "offsets that do not span"),
        ("label_test", np.full(20, 12), "label 12 at sample 0"),
        ("x_train", np.full(80, 40), "x = 40 in an event"),
        ("p_train", np.zeros(79, int), r"p of \(79,\)"),
        ("t_test", np.zeros(80), "float64, expected 80 integers"),
    ],
)
def test_a_malformed_packed_file_is_refused(tmp_path, key, value, message):
    arrays = write_nmnist_subset(tmp_path / "nmnist_small.npz") | {key: value}
    np.savez(tmp_path / "nmnist_small.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load("nmnist", tmp_path)


def test_a_packed_file_with_a_missing_array_or_cut_short_is_refused(tmp_path):
    path = tmp_path / "nmnist_small.npz"
    arrays = write_nmnist_subset(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        load("nmnist", tmp_path)
    del arrays["p_test"]
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="expected one named 'p_test'"):
        load("nmnist", tmp_path)


def test_a_pickle_inside_an_npz_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object), y=[0], p=[0], t=[0])
    with pytest.raises(DataError, match="damaged"):
        read_events_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "0 bytes"), (bytes(7), "7 bytes, expected a multiple of 5")],
)
def test_a_truncated_nmnist_file_is_refused(tmp_path, data, message):
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_nmnist_bin(tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "version none"),
        (b"% no end", "header without an end"),
        (dat_bytes(X, Y, P, T, version=3), "version 3, expected"),
        (dat_bytes(X, Y, P, T)[:-3], "29 bytes of events"),
        (b"% Version 2\n\x0e\x08", r"event type and size \[14, 8\]"),
        (b"% Version 2\n", "event type and size"),
    ],
)
def test_a_malformed_dat_file_is_refused(tmp_path, data, message):
    (tmp_path / "a.dat").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_dat(tmp_path / "a.dat")

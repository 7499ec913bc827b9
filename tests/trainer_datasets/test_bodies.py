"""Heart beats and movements: data sets whose groups are people."""

import numpy as np
import pytest

from runtime.errors import ConfigError, DataError
from trainer.datasets import load
from trainer.datasets.beats import RECENT, Beats, features, recent_median
from trainer.datasets.physionet import read_212, read_annotations, read_record

from .files import annotation_bytes, bytes_212, write_record


def beats(n=60, late=(), odd=(), gain=1):
    draw = np.random.default_rng(0)
    x = np.tile(np.sin(np.arange(256) / 20) * 100, (n, 1)) + draw.normal(0, 1, (n, 256))
    x[list(odd)] *= -1
    prev = np.full(n, 300)
    prev[list(late)] = 200
    return Beats((x * gain).astype(np.int16), np.zeros(n, int), np.full(n, 7), prev, np.roll(prev, -1))


def test_an_early_or_odd_beat_stands_out_from_its_neighbors():
    rows = features(beats(late=[30], odd=[40])).astype(int)
    assert rows.shape == (60, 72)
    assert rows[30, 64::2].tolist() == [-42] * 4
    assert rows[40, :64].sum() > 5 * rows[39, :64].sum()


def test_gain_does_not_change_the_features():
    assert np.abs(features(beats()).astype(int) - features(beats(gain=5)).astype(int)).max() <= 1


def test_recent_medians_are_those_of_the_rows_before_in_the_same_record():
    values = np.random.default_rng(0).normal(size=(70, 3))
    record = np.repeat([1, 2], [10, 60])
    found = recent_median(values, record)
    for row in (0, 5, 9, 10, 31, 69):
        start = max(0 if row < 10 else 10, row - RECENT + 1)
        assert np.allclose(found[row], np.median(values[start : row + 1], axis=0))


def write_packed(folder):
    arrays = {}
    for split, records in (("train", (106, 108, 114, 119)), ("test", (100, 121, 123, 200))):
        parts = [beats(odd=[5]) for _ in records]
        label = np.zeros(60, np.uint8)
        label[5] = 1
        arrays |= {
            f"x_{split}": np.concatenate([part.x for part in parts]),
            f"y_{split}": np.tile(label, 4),
            f"record_{split}": np.repeat(records, 60).astype(np.uint8),
            f"rr_prev_{split}": np.concatenate([part.rr_prev for part in parts]).astype(np.int16),
            f"rr_next_{split}": np.concatenate([part.rr_next for part in parts]).astype(np.int16),
        }
    np.savez(folder / "mitbih_pvc.npz", **arrays)
    return arrays


def test_beats_split_between_patients(tmp_path):
    write_packed(tmp_path)
    splits = load("mitbih", tmp_path, {"validation_groups": [114]})
    assert set(splits.train.groups) == {106, 108, 119}
    assert set(splits.validation.groups) == {114}
    assert set(splits.test.groups) == {100, 121, 123, 200}
    assert splits.info.signed
    assert splits.info.sample_shape == (72,)


def test_an_unknown_record_is_refused(tmp_path):
    write_packed(tmp_path)
    with pytest.raises(ConfigError, match="found no record 101"):
        load("mitbih", tmp_path, {"test_records": [101]})


def test_a_record_to_train_and_test_on_is_refused(tmp_path):
    write_packed(tmp_path)
    with pytest.raises(DataError, match="record 108 in both train and test"):
        load("mitbih", tmp_path, {"test_records": [108], "validation_groups": [106]})


def test_beats_of_another_length_are_refused(tmp_path):
    arrays = write_packed(tmp_path)
    arrays |= {f"x_{split}": arrays[f"x_{split}"][:, :200] for split in ("train", "test")}
    np.savez(tmp_path / "mitbih_pvc.npz", **arrays)
    with pytest.raises(DataError, match=r"found beats \(480, 200\)"):
        load("mitbih", tmp_path)


def test_format_212_decodes_signed_values_of_both_channels(tmp_path):
    first, second = [0, 1, -1, 2047, -2048], [5, -6, 1000, -1000, 0]
    (tmp_path / "a.dat").write_bytes(bytes_212(first, second))
    assert read_212(tmp_path / "a.dat").reshape(-1, 2).T.tolist() == [first, second]


def test_annotations_decode_across_long_intervals_and_notes(tmp_path):
    (tmp_path / "a.atr").write_bytes(annotation_bytes([10, 500, 70_000], [28, 1, 5]))
    times, codes = read_annotations(tmp_path / "a.atr")
    assert (times.tolist(), codes.tolist()) == ([10, 500, 70_000], [28, 1, 5])


def test_a_record_gives_signal_over_its_zero_level_and_beats_only(tmp_path):
    write_record(tmp_path, "100")
    record = read_record(tmp_path, "100")
    assert record.signal[record.rpeak].tolist() == [100] * 12
    assert record.signal[0] == 0
    assert (record.code == 5).sum() == 2


def test_physionet_files_load_like_the_packed_file(tmp_path):
    for name in (1, 2, 3, 4):
        write_record(tmp_path / "mitdb", str(name))
    options = {"train_records": [1, 2, 3], "test_records": [4], "validation_groups": [2]}
    splits = load("mitbih", tmp_path, options)
    assert (len(splits.train), len(splits.test)) == (20, 10)
    assert splits.test.y.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("1.dat", bytes(7), "found 7 bytes, expected a multiple of 3"),
        ("1.hea", b"1 2 360\n", "malformed header"),
        ("1.hea", b"1 2 360 9\n1.dat 16 200 11 1024\n", "format 16, expected 2 in format 212"),
        ("1.atr", b"\x01", "found 1 bytes"),
        ("1.atr", (59 << 10).to_bytes(2, "little"), "end inside a long interval"),
        ("1.atr", bytes(2), "no whole beat"),
    ],
)
def test_malformed_physionet_files_are_refused(tmp_path, name, content, message):
    for record in (1, 2, 3):
        write_record(tmp_path / "mitdb", str(record))
    (tmp_path / "mitdb" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load("mitbih", tmp_path, {"train_records": [1, 2], "test_records": [3]})


def write_watch(folder, **changes):
    """Two recordings a person, of 450 samples; x is +1 on right arms and -1 on left ones."""
    arrays = {"classes": np.array(["up", "down"])}
    for split, persons in (("train", (1, 2, 3)), ("test", (4,))):
        side = np.tile([0, 1], len(persons))
        x = np.zeros((450 * len(side), 6), np.float32)
        x[:, 0] = np.repeat(1 - 2 * side, 450)
        arrays |= {
            f"x_{split}": x,
            f"offset_{split}": np.arange(len(side) + 1) * 450,
            f"y_{split}": side.astype(np.uint8),
            f"subject_{split}": np.repeat(persons, 2).astype(np.uint8),
            f"side_{split}": side.astype(np.uint8),
        }
    np.savez(folder / "watch_imu.npz", **(arrays | changes))


def test_windows_split_between_persons_and_left_arms_are_mirrored(tmp_path):
    write_watch(tmp_path)
    splits = load("watch", tmp_path, {"validation_groups": [2], "hop": 50})
    assert set(splits.train.groups) == {1, 3}
    assert splits.train.x.shape == (24, 25, 12)
    assert (len(splits.validation), len(splits.test)) == (4, 4)
    assert (splits.test.x[:, :, 0] == 32).all()


def test_steps_must_divide_the_window(tmp_path):
    write_watch(tmp_path)
    with pytest.raises(ConfigError, match="found 30, expected a divisor of 200"):
        load("watch", tmp_path, {"n_steps": 30})


def test_nan_in_a_recording_is_refused(tmp_path):
    write_watch(tmp_path, x_train=np.full((2700, 6), np.nan, np.float32))
    with pytest.raises(DataError, match="expected finite values"):
        load("watch", tmp_path)

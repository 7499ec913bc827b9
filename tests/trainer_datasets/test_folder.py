import numpy as np
import pytest

from runtime.errors import ConfigError, DataError
from trainer.datasets import load

from .files import dat_bytes, nmnist_bytes, tone, write_folder, write_table, write_wav


def write_files(folder, n=12, groups=None, splits=None):
    """CSV files of 5 rows and 2 columns, two classes in turn, named by labels.csv."""
    rows, header = [], "file,label"
    for k in range(n):
        folder.mkdir(exist_ok=True)
        np.savetxt(folder / f"{k}.csv", np.full((5, 2), k + 0.5), delimiter=",")
        rows.append(f"{k}.csv,{'yes' if k % 2 else 'no'}")
    for name, values in (("group", groups), ("split", splits)):
        if values is not None:
            header += f",{name}"
            rows = [f"{row},{value}" for row, value in zip(rows, values, strict=True)]
    write_table(folder, rows, header)


def test_class_folders_become_three_splits_with_whole_numbers_kept(tmp_path):
    write_folder(tmp_path, n=10)
    splits = load("folder", tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (14, 2, 4)
    assert splits.info.classes == ("a", "b")
    assert splits.info.sample_shape == (3, 4)
    assert not splits.info.has_time
    assert splits.info.scale == 1.0
    stored = {tuple(np.load(f)["x"].reshape(-1)) for f in tmp_path.glob("*/*.npz")}
    assert {tuple(row) for _, part in splits.named() for row in part.x.reshape(len(part), -1)} == stored


def test_folders_named_train_and_test_are_the_splits(tmp_path):
    write_folder(tmp_path / "train", n=5)
    write_folder(tmp_path / "test", n=3)
    splits = load("folder", tmp_path, {"validation": 0.2})
    assert [len(part) for _, part in splits.named()] == [8, 2, 6]


def test_a_table_with_groups_keeps_them_apart(tmp_path):
    write_files(tmp_path, 24, groups=[f"p{k // 4}" for k in range(24)])
    splits = load("folder", tmp_path)
    seen = [set(part.groups) for _, part in splits.named()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 6


def test_a_table_says_the_splits(tmp_path):
    names = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    write_files(tmp_path, splits=names)
    splits = load("folder", tmp_path / "labels.csv")
    assert [len(part) for _, part in splits.named()] == [6, 3, 3]


def test_a_split_that_leaks_a_group_is_refused(tmp_path):
    names = ["train"] * 8 + ["test"] * 4
    write_files(tmp_path, groups=["p0", "p1", "p2", "p3"] * 3, splits=names)
    with pytest.raises(DataError, match="found group 0 in both"):
        load("folder", tmp_path)


def test_real_values_get_one_scale_from_the_training_part(tmp_path):
    write_files(tmp_path, splits=["train"] * 6 + ["validation"] * 2 + ["test"] * 4)
    splits = load("folder", tmp_path)
    assert splits.info.scale == pytest.approx(5.5 / 255)
    assert splits.train.x.max() == 255
    assert splits.test.x.max() == 255
    assert np.allclose(splits.train.x[0] * splits.info.scale, 0.5, atol=splits.info.scale)


def test_n_steps_cuts_and_pads_the_first_axis(tmp_path):
    write_files(tmp_path)
    for steps in (3, 8):
        splits = load("folder", tmp_path, {"n_steps": steps})
        assert splits.info.sample_shape == (steps, 2)
        assert splits.info.has_time
    assert not splits.train.x[:, 5:].any()


def test_wav_files_become_log_mel_frames(tmp_path):
    for name, hz in (("low", 300), ("high", 2000)):
        for k in range(5):
            write_wav(tmp_path / name / f"{k}.wav", tone(hz, 3000 + k, 16_000), rate=16_000)
    splits = load("folder", tmp_path, {"n_steps": 6, "n_mels": 16})
    assert splits.train.x.shape[1:] == (6, 16)


@pytest.mark.parametrize("ending", ["bin", "dat", "npz"])
def test_event_files_become_frames(tmp_path, ending):
    parts = ([0, 7, 3], [4, 0, 5], [0, 1, 1], [0, 50, 999])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(5):
            path = tmp_path / name / f"{k}.{ending}"
            if ending == "npz":
                np.savez(path, **dict(zip("xypt", map(np.array, parts), strict=True)))
            else:
                path.write_bytes((nmnist_bytes if ending == "bin" else dat_bytes)(*parts))
    splits = load("folder", tmp_path)
    assert splits.info.sample_shape == (10, 2, 6, 8)
    assert splits.train.x[0].sum() == 3
    assert splits.train.x[0, 9, 1, 5, 3] == 1


def test_an_event_outside_the_given_sensor_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(3):
            (tmp_path / name / f"{k}.bin").write_bytes(nmnist_bytes([9], [0], [0], [0]))
    with pytest.raises(DataError, match=r"x = 9 in an event, expected 0\.\.7"):
        load("folder", tmp_path, {"width": 8, "height": 8})


def test_numbers_as_class_names_are_ordered_as_numbers(tmp_path):
    write_folder(tmp_path, classes=("10", "9", "2"))
    assert load("folder", tmp_path).info.classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a.csv"], "file", "expected one named 'label'"),
        (["x"], "label", "expected one named 'file'"),
        (["a.csv,x,1"], "file,label,colour", "found column 'colour'"),
        ([], "file,label", "found no rows"),
        (["a.csv,"], "file,label", "line 2: found no label"),
        (["b.csv,x"], "file,label", r"line 2: found no file .*b\.csv"),
        (["a.csv,x,dev"], "file,label,split", "split 'dev', expected train, validation or test"),
        (["a.csv,x", "a.csv,y"], "file,label", r"found a\.csv twice"),
        (["a.csv,x,", "c.csv,y,g"], "file,label,group", r"row without group \(sample 1\)"),
        (["a.csv,x,train", "c.csv,y,train"], "file,label,split", "found no test samples"),
        (['"a.csv,x'], "file,label", "malformed table"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path, rows, header, message):
    for name in ("a.csv", "c.csv"):
        (tmp_path / name).write_text("1,2\n")
    write_table(tmp_path, rows, header)
    with pytest.raises(DataError, match=message):
        load("folder", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3,nan\n", r"found nan at \[1, 1\], expected finite"),
        ("1,2\n3\n", "row 2: found 1 columns, expected 2"),
        ("a,b\n1,2\n3,four\n", "row 3: found 'four', expected a number"),
        ("", "expected an array of numbers"),
        ("1,2\n3,4\n5,6\n", r"shape \(3, 2\), expected \(1, 2\)"),
    ],
)
def test_a_malformed_csv_sample_is_refused(tmp_path, text, message):
    write_files(tmp_path, 6)
    for k in range(6):
        (tmp_path / f"{k}.csv").write_text("1,2\n")
    (tmp_path / "4.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load("folder", tmp_path)


def test_a_header_row_of_a_csv_sample_is_passed_over(tmp_path):
    write_files(tmp_path)
    (tmp_path / "0.csv").write_text("left,right\n" + "1,2\n" * 5)
    assert load("folder", tmp_path).info.sample_shape == (5, 2)


def test_an_empty_class_is_refused(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="empty class folder"):
        load("folder", tmp_path)


def test_a_folder_without_classes_and_one_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(DataError, match="no sub-folder"):
        load("folder", tmp_path)
    with pytest.raises(DataError, match=r"nothing at .*mine"):
        load("folder", tmp_path, {"path": "mine"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"1", r"ending '\.txt'"),
        ("x.npz", b"zip?", "damaged"),
        ("x.wav", b"RIFF", "found wav, expected array"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, message):
    write_folder(tmp_path)
    (tmp_path / "b" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load("folder", tmp_path)


def test_too_many_bits_are_refused(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"data.bits: found 16, expected 1\.\.15"):
        load("folder", tmp_path, {"bits": 16})

import gzip

import numpy as np
import pytest

from runtime.errors import DataError
from trainer.datasets import load
from trainer.datasets.idx import read_idx

from .files import write_idx, write_mnist


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_loads_from_plain_and_gzipped_idx(tmp_path, suffix):
    write_mnist(tmp_path / "mnist", suffix)
    splits = load("mnist", tmp_path)
    assert splits.train.x.shape == (30, 1, 28, 28)
    assert (len(splits.validation), len(splits.test)) == (10, 10)
    assert splits.info.bits == 8


@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
def test_mnist_is_found_under_the_usual_folders(tmp_path, folder):
    write_mnist(tmp_path / folder)
    assert len(load("mnist", tmp_path).test) == 10


def test_fashion_mnist_has_its_own_folder_and_classes(tmp_path):
    write_mnist(tmp_path / "fashion_mnist")
    assert load("fashion_mnist", tmp_path).info.classes[9] == "ankle boot"


def test_a_missing_file_is_named_with_place_and_origin(tmp_path):
    with pytest.raises(DataError, match=r"train-images.*in .*expected the files of MNIST by Y. LeCun"):
        load("mnist", tmp_path)


def test_without_a_folder_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("SPIKEPRESS_DATA", raising=False)
    with pytest.raises(DataError, match=r"--data-dir or SPIKEPRESS_DATA.*MNIST"):
        load("mnist")


def test_the_variable_stands_for_the_option(tmp_path, monkeypatch):
    write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("SPIKEPRESS_DATA", str(tmp_path))
    assert len(load("mnist").test) == 10


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*nowhere"):
        load("mnist", tmp_path / "nowhere")


def write_header(path, *numbers):
    path.write_bytes(bytes((0, 0, 8, 3)) + np.array(numbers, ">u4").tobytes() + bytes(8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "idx header of 16"),
        (bytes((0, 0, 8, 1)) + bytes(20), "magic number 00000801, expected 00000803"),
        (bytes((0, 0, 13, 3)) + bytes(20), "magic number 00000d03"),
        (bytes((0, 0, 8, 3)) + np.array([2, 2, 2], ">u4").tobytes() + bytes(7), "found 7 values, expected 8"),
        (bytes((0, 0, 8, 3)) + np.array([2**32 - 1] * 3, ">u4").tobytes() + bytes(8), "found 8 values"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(bytes(100), mtime=0)[:20]])
def test_a_damaged_gzip_is_refused(tmp_path, content):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path, 3)


def test_labels_out_of_range_are_refused(tmp_path):
    write_mnist(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / "t10k-labels-idx1-ubyte", [0, 1, 2, 3, 4, 5, 6, 7, 8, 11])
    with pytest.raises(DataError, match=r"label 11 at sample 9, expected 0\.\.9"):
        load("mnist", tmp_path)


def test_images_and_labels_must_be_as_many(tmp_path):
    write_mnist(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / "t10k-labels-idx1-ubyte", [0, 1])
    with pytest.raises(DataError, match="found 2 labels, expected one for each of 10 images"):
        load("mnist", tmp_path)

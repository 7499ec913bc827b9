"""The published data sets themselves, where SPIKEPRESS_DATA names a folder that holds them."""

import os
from pathlib import Path

import numpy as np
import pytest

from trainer.datasets import load
from trainer.datasets.events import EventGrid, bin_events, read_dat, read_nmnist_bin
from trainer.datasets.nmnist import DURATION_US

ROOT = Path(os.environ.get("SPIKEPRESS_DATA", "."))
FILES = {
    "mnist": "mnist/train-images-idx3-ubyte.gz",
    "fashion_mnist": "fashion_mnist/train-images-idx3-ubyte.gz",
    "cifar10": "cifar10_subset.npz",
    "nmnist": "nmnist_small.npz",
    "fsdd": "fsdd.npz",
    "mitbih": "mitbih_pvc.npz",
    "watch": "watch_imu.npz",
}
SIZES = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (10_000, 2_500),
    "nmnist": (900, 100),
    "fsdd": (2_700, 300),
    "mitbih": (7_648, 8_247),
}


def needs(path):
    if "SPIKEPRESS_DATA" not in os.environ:
        pytest.skip("SPIKEPRESS_DATA is not set")
    if not (ROOT / path).exists():
        pytest.skip(f"SPIKEPRESS_DATA holds no {path}")
    return ROOT / path


@pytest.mark.parametrize("name", FILES)
def test_a_published_set_loads_whole(name):
    needs(FILES[name])
    splits = load(name)
    for _, part in splits.named():
        assert splits.info.low <= part.x.min() <= part.x.max() <= splits.info.high
        assert len(np.unique(part.y)) == len(splits.info.classes)
    if name in SIZES:
        assert (len(splits.train) + len(splits.validation), len(splits.test)) == SIZES[name]


def test_mnist_has_the_known_classes_and_first_digit():
    needs(FILES["mnist"])
    test = load("mnist").test
    assert np.bincount(test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert test.y[:5].tolist() == [7, 2, 1, 0, 4]


def test_the_original_nmnist_records_equal_the_packed_ones():
    path = needs("event_samples/nmnist_test_00001.bin")
    needs(FILES["nmnist"])
    grid = EventGrid(10, 34, 34, DURATION_US // 10, 4)
    frames = bin_events(read_nmnist_bin(path), grid, "record")
    assert np.array_equal(frames, load("nmnist", None, {"bits": 4}).test.x[0])


def test_a_real_prophesee_recording_decodes():
    events = read_dat(needs("event_samples/sample_ncars.dat"))
    assert (np.diff(events.t) >= 0).all()
    assert events.x.max() < 120
    assert events.y.max() < 100
    assert set(events.p.tolist()) == {0, 1}

"""An ANN in ONNX becomes a run directory whose accuracy against steps is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from typer.testing import CliRunner

import spikepress as sp
from runtime.errors import ConfigError, DataError
from spikepress.ann import import_ann
from spikepress.cli import app
from tests.exporter.test_onnx_ann import Net

EPOCHS = 60


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A trained 64-48-10 in ONNX and the digits as integers of 0 to 16."""
    folder = tmp_path_factory.mktemp("ann")
    images, labels = load_digits(return_X_y=True)
    x, y = images.astype(np.int16), labels
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    np.savez(folder / "digits.npz", x=x[900:], y=y[900:])
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    inputs, targets = torch.tensor(x[:900] / 16, dtype=torch.float32), torch.tensor(y[:900])
    for _ in range(EPOCHS):
        loss = nn.functional.cross_entropy(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    made = Net((64,))
    for k in (0, 2):
        for tensor in (net[k].weight, net[k].bias):
            made.tensor(*tensor.shape)
            made.tensors[-1].raw_data = tensor.detach().numpy().tobytes()
    made.add("Gemm", "w0", "w1", transB=1).add("Relu").add("Gemm", "w2", "w3", transB=1)
    (folder / "ann.onnx").write_bytes(made.model().SerializeToString())
    return folder


def test_more_steps_come_to_the_ann(digits, tmp_path):
    found = import_ann(digits / "ann.onnx", tmp_path / "run", str(digits / "digits.npz"))
    assert found.ann_accuracy > 0.9
    assert found.accuracy[128] >= found.ann_accuracy - 0.01
    assert found.accuracy[found.n_steps] >= found.ann_accuracy - 0.005
    assert found.accuracy[1] < found.accuracy[128]
    assert found.test_accuracy > found.ann_test_accuracy - 0.02
    assert sp.verify(tmp_path / "run", data=str(digits / "digits.npz"), samples=20).exact
    told = json.loads((tmp_path / "run" / "import.json").read_text(encoding="utf-8"))
    assert told["n_steps"] == found.n_steps
    assert told["accuracy"]["128"] == found.accuracy[128]


def test_spikes_of_four_bits_need_fewer_steps(digits, tmp_path):
    wide = import_ann(digits / "ann.onnx", tmp_path / "run", str(digits / "digits.npz"), payload_bits=4)
    one = import_ann(digits / "ann.onnx", tmp_path / "one", str(digits / "digits.npz"), n_steps=1)
    assert wide.n_steps <= 2
    assert wide.accuracy[1] > one.accuracy[1]


def test_the_command_tells_and_refuses(digits, tmp_path):
    base = ["import", str(digits / "ann.onnx"), "-o", str(tmp_path / "run")]
    done = CliRunner().invoke(app, [*base, "--data", str(digits / "digits.npz"), "--steps", "8", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["n_steps"] == 8
    assert isinstance(CliRunner().invoke(app, base).exception, ConfigError)
    for more in (["--dt", "1"], ["--shape", "64"], ["--payload-bits", "9"], ["--scale", "-1"]):
        with_data = [*base, "--data", str(digits / "digits.npz"), *more]
        assert isinstance(CliRunner().invoke(app, with_data).exception, ConfigError)
    np.savez(tmp_path / "wrong.npz", x=np.zeros((9, 5), np.int8), y=np.zeros(9, np.int8))
    with pytest.raises(DataError, match="the ANN's"):
        import_ann(digits / "ann.onnx", tmp_path / "none", str(tmp_path / "wrong.npz"))

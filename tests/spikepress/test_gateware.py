"""Verilog folders: written from a stored network, refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.targets import spk
from runtime.errors import ConfigError, DataError, UnsupportedError
from runtime.program import Program
from spikepress.cli import app
from spikepress.firmware import FirmwareOptions
from spikepress.gateware import export_gateware, read_gateware
from spikepress.pipeline import export
from tests.builders.programs import mlp


def stored(program: Program, folder: Path) -> Path:
    spk.export(program, folder / "model.spk")
    return folder / "model.spk"


def test_the_command_writes_a_folder_that_reads_back_as_the_same_network(tmp_path: Path) -> None:
    model, where = stored(mlp((20, 12, 4)), tmp_path), tmp_path / "rtl"
    arguments = [
        "export",
        str(model),
        "--target",
        "fpga",
        "--device",
        "ice40up5k",
        "-o",
        str(where),
        "--json",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fpga"]["path"] == str(where)
    found = read_gateware(where)
    assert found.device == "ice40up5k"
    told = json.loads((where / "report.json").read_text(encoding="utf-8"))
    assert told["synapses"] == found.core.sizes["SYNAPSES"] > 0
    assert told["blocks_estimated"] == sum(m["blocks_estimated"] for m in told["memories"]) <= 30
    assert {"snn_core.v", "params.vh", "ptr.mem", "weights.mem", "bench.v", "golden.mem"} <= set(found.files)


def test_a_microcontroller_and_an_encoding_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    model, where = stored(mlp(), tmp_path), tmp_path / "rtl"
    with pytest.raises(UnsupportedError, match="expected an fpga"):
        export_gateware(model, where, FirmwareOptions("stm32f030r8"))
    with pytest.raises(ConfigError, match="--encoding: found 'rice'"):
        export_gateware(model, where, FirmwareOptions("ice40up5k", layout="rice"))
    with pytest.raises(ConfigError, match="c and fpga for one device"):
        export(model, targets=("c", "fpga"), output=where, firmware=FirmwareOptions("ice40up5k"))
    with pytest.raises(ConfigError, match="expected both or neither"):
        export(model, targets=("fpga",), output=where)
    assert not where.exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no report\.json"):
        read_gateware(tmp_path)

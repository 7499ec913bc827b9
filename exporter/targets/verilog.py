"""Writes a ``Program`` as a Verilog-2005 core with its memory images.

The core is one file for all networks; ``params.vh`` and the images make it this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_
from typing import Any

import numpy as np

from exporter.targets.c_source import render
from exporter.targets.verilog_layers import (
    FIELDS,
    Layer,
    Whole,
    clamp_text,
    layers_of,
    leak_text,
    number,
    reset_text,
    unsupported,
)
from runtime.check import check_program
from runtime.errors import UnsupportedError
from runtime.program import Program, n_neurons
from runtime.spec import Coding, Fire, Readout

MOST_REGISTERS = 64
"""Bits of a memory that registers hold."""


@dataclass(frozen=True)
class Memory:
    """A memory of the core: its words, and their image where it has one."""

    name: str
    words: int
    bits: int
    image: tuple[int, ...] | None = None

    @cached_property
    def varying(self) -> int:
        """Columns of bits that are not the same in every word: synthesis stores no others."""
        if self.image is None:
            return self.bits
        mask = (1 << self.bits) - 1
        words = [word & mask for word in self.image]
        return (reduce(or_, words) & ~reduce(and_, words)).bit_count()

    @property
    def style(self) -> str:
        """Where synthesis is told to keep it: few bits, and zeros, which are a constant, in registers."""
        few = self.words * self.bits <= MOST_REGISTERS
        zeros = self.image is not None and not any(self.image)
        return "registers" if few or zeros else "block"

    @property
    def text(self) -> str:
        """The image for ``$readmemh``."""
        digits, mask = -(-self.bits // 4), (1 << self.bits) - 1
        return "".join(f"{word & mask:0{digits}x}\n" for word in self.image or ())


@dataclass(frozen=True)
class Core:
    """A network described for the templates."""

    program: Program
    stages: tuple[Layer, ...]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The constants of ``params.vh``, by name."""
        inputs = n_neurons(self.program.populations[0])
        widest = max(layer.neurons for layer in self.stages)
        hidden = max((layer.neurons for layer in self.stages[:-1]), default=1)
        neurons = sum(layer.neurons for layer in self.stages)
        rows = sum(len(layer.weights) for layer in self.stages)
        synapses = max(1, sum(int(np.count_nonzero(layer.weights)) for layer in self.stages))
        steps, output = self.program.input.n_steps, self.stages[-1].neurons
        membrane = max(layer.reach for layer in self.stages).bit_length() + 1
        first = self.stages[0]
        currents = first.neurons if self.direct else 1
        currents_reach = max(-int(first.arriving.low.min()), int(first.arriving.high.max()))
        summed = currents_reach.bit_length() + 1 if self.direct else 0
        digits = 1 + width(self.program.input.bits + 1) if self.direct else 0
        return {
            "LAYERS": len(self.stages),
            "STEPS": steps,
            "NEURONS": neurons,
            "OUTPUTS": output,
            "POINTERS": rows + 1,
            "SYNAPSES": synapses,
            "QUEUE": 1 << width(hidden),
            "LAYER_BITS": width(len(self.stages)),
            "STEP_BITS": width(steps),
            "DIRECT": int(self.direct),
            "HELD": int(self.direct and self.program.input.constant),
            "INPUT_BITS": width(inputs),
            "DIGIT_BITS": max(digits, 1),
            "BEAT_BITS": width(inputs) + digits,
            "CURRENTS": currents,
            "CURRENT_BITS": width(currents),
            "SUM_BITS": max(membrane, summed),
            "EVENT_BITS": max(width(inputs), width(hidden)),
            "QUEUE_BITS": width(hidden),
            "PLACE_BITS": width(widest),
            "OUTPUT_BITS": width(output),
            "NEURON_BITS": width(neurons),
            "ROW_BITS": width(rows + 1),
            "POINTER_BITS": width(synapses + 1),
            "SYNAPSE_BITS": width(synapses),
            "INDEX_BITS": width(widest),
            "WEIGHT_BITS": 8,
            "MEMBRANE_BITS": membrane,
            "PARAMETER_BITS": max(1, sum(self.field_bits.values())),
            "SCORE_BITS": self._score_bits(membrane, steps),
        }

    @property
    def direct(self) -> bool:
        """Whether the first layer hears values, digit by digit, and not spikes."""
        return self.program.input.coding is Coding.DIRECT

    @property
    def shift(self) -> int:
        """From a direct input's sums to membranes."""
        return self.stages[0].shift

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
        row = neuron = 0
        for layer in self.stages:
            constants = {field: number(int(layer.values[field][0])) for field in FIELDS}
            found.append(
                constants
                | {
                    "first_row": row,
                    "first_neuron": neuron,
                    "neurons": layer.neurons,
                    "fires": int(layer.neuron.fire is Fire.BINARY),
                    "leak": leak_text(layer.neuron),
                    "clamp": clamp_text(layer),
                    "reset_rule": reset_text(layer.neuron),
                    "shift": layer.shift,
                }
            )
            row, neuron = row + len(layer.weights), neuron + layer.neurons
        return found

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        sizes = self.sizes
        record = sizes["WEIGHT_BITS"] + sizes["INDEX_BITS"]
        membrane = sizes["MEMBRANE_BITS"]
        pointers, synapses = self._lists()
        currents = (Memory("currents", sizes["CURRENTS"], sizes["SUM_BITS"]),) if self.direct else ()
        return (
            Memory("ptr", sizes["POINTERS"], sizes["POINTER_BITS"], pointers),
            Memory("weights", sizes["SYNAPSES"], record, synapses),
            Memory("neurons", sizes["NEURONS"], sizes["PARAMETER_BITS"], self._parameter_words()),
            Memory("membranes", sizes["NEURONS"], membrane),
            Memory("queue", sizes["QUEUE"], sizes["QUEUE_BITS"]),
            Memory("scores", sizes["OUTPUTS"], sizes["SCORE_BITS"]),
            *currents,
        )

    @property
    def styles(self) -> dict[str, str]:
        """Of every memory of the core by name, also one that this network leaves out."""
        return {"currents": "registers"} | {memory.name: memory.style for memory in self.memories}

    def _lists(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Begin of every source's list and the end of the last; the synapses, list after list."""
        index = self.sizes["INDEX_BITS"]
        counts, words = [np.zeros(1, np.int64)], []
        for layer in self.stages:
            counts.append(np.count_nonzero(layer.weights, axis=1))
            row, column = np.nonzero(layer.weights)
            weight: Whole = layer.weights[row, column].astype(np.int64) & 0xFF
            words.append(weight << index | column)
        joined = np.concatenate(words)
        return tuple(np.cumsum(np.concatenate(counts)).tolist()), tuple(joined.tolist()) or (0,)

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
    def most_clocks(self) -> int:
        """No sample takes more clocks: each source gives at most one event a step, of direct input one for
        every second bit."""
        s = self.sizes
        digits = self.program.input.bits // 2 + 1
        step = digits * (s["SYNAPSES"] + 2 * s["POINTERS"]) + s["NEURONS"] + 10 * s["LAYERS"]
        return s["STEPS"] * step + 2 * s["OUTPUTS"]

    @property
    def readout(self) -> str:
        return self.program.readout.value

    @property
    def sentence(self) -> str:
        shape = "-".join(str(n_neurons(p)) for p in self.program.populations)
        return f"Network {shape}, {self.sizes['SYNAPSES']:,} synapses, {self.program.input.n_steps} steps."


def width(count: int) -> int:
    """Bits of an index below ``count``, at least one."""
    return max(1, (count - 1).bit_length())


def describe(program: Program) -> Core:
    """The core of a program; UnsupportedError names everything that it has no form for."""
    check_program(program)
    found = unsupported(program)
    if found:
        raise UnsupportedError(
            f"fpga: found {', '.join(found)}, expected linear layers in a chain with spikes of one bit"
        )
    return Core(program, layers_of(program))


def sources(core: Core) -> Mapping[str, str]:
    """The core, its parameters and its images, by file name."""
    images = {f"{memory.name}.mem": memory.text for memory in core.memories if memory.image is not None}
    return {
        "snn_core.v": render("snn_core.v.j2", {}),
        "params.vh": render("params.vh.j2", {"core": core}),
        **images,
    }

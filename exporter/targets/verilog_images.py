"""The images of a core's lists: where each list of synapses begins, the synapses, and what each source is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import numpy as np

from exporter.targets.verilog_layers import Layer
from exporter.targets.verilog_memory import signed_width, width
from exporter.targets.verilog_segments import Row, Segment, Whole

Words = tuple[int, ...]


@dataclass(frozen=True)
class Images:
    """Of the layers of a core. A word of the lists has a synapse for each of ``lanes``; with ``gap_bits`` it
    says how far that is from the one before. ``synapse_fields`` and ``source_fields`` give the bits of
    each field of a word, the highest first."""

    stages: Sequence[Layer]
    lanes: int = 1
    gap_bits: int = 0

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for one in self._segments for row in one.rows)

    @cached_property
    def pointers(self) -> Words:
        """Begin of every row's list, and the end of the last."""
        counts = [0, *(one.words(row) for one in self._segments for row in one.rows)]
        return tuple(np.cumsum(counts).tolist())

    @property
    def cells(self) -> int:
        """Neurons of a lane."""
        return sum(-(-layer.neurons // self.lanes) for layer in self.stages)

    @cached_property
    def synapse_fields(self) -> dict[str, int]:
        weights = self._joined("weights")
        fields = {"weight": max(2, signed_width(int(weights.min()), int(weights.max())))}
        if self.mapped:
            return fields | {
                "up": width(int(self._joined("up").max()) + 1),
                "left": width(int(self._joined("left").max()) + 1),
                "distance": width(self.cells),
            }
        return fields | {"distance": self.gap_bits or width(-(-self._widest // self.lanes))}

    @property
    def synapse_words(self) -> Words:
        """The words of all lists, lane 0 lowest."""
        bits = sum(self.synapse_fields.values())
        found: list[int] = []
        for row in self.rows:
            lane = row.distances % self.lanes
            distances = np.diff(row.distances, prepend=0) if self.gap_bits else row.distances // self.lanes
            parts = {"weight": row.weights, "up": row.up, "left": row.left, "distance": distances}
            words = packed(parts, self.synapse_fields)
            turns: list[list[int]] = [[] for _ in range(self.lanes)]
            for word, own in zip(words, lane.tolist(), strict=True):
                turns[own].append(word << bits * own)
            found += [sum(at) for at in zip_longest(*turns, fillvalue=0)]
        return tuple(found) or (0,)

    @cached_property
    def mapped(self) -> tuple[Segment, ...]:
        """The segments whose sources have words of their own."""
        return tuple(one for one in self._segments if one.mapped)

    @cached_property
    def source_fields(self) -> dict[str, int]:
        if not self.mapped:
            return {"none": 1}
        y, x = (self._bits_of_axis(axis) for axis in (0, 1))
        return {"row": width(len(self.rows) + 1), "origin": width(self.cells), "y": y, "x": x}

    @property
    def source_words(self) -> Words:
        """{row, origin, y, x} of every source of the mapped segments."""
        found: list[int] = []
        row = neuron = 0
        for layer in self.stages:
            for one in layer.segments:
                if one.mapped:
                    parts = {"row": one.row + row, "origin": one.origin + neuron, "y": one.y, "x": one.x}
                    found += packed(parts, self.source_fields)
                row += len(one.rows)
            neuron += layer.neurons
        return tuple(found) or (0,)

    @property
    def _segments(self) -> tuple[Segment, ...]:
        return tuple(one for layer in self.stages for one in layer.segments)

    @property
    def _widest(self) -> int:
        return max(layer.neurons for layer in self.stages)

    def _joined(self, part: str) -> Whole:
        found: Whole = np.concatenate([getattr(row, part) for row in self.rows])
        return found if found.size else np.zeros(1, np.int64)

    def _bits_of_axis(self, axis: int) -> int:
        """Of (y, x), in which what lies before the first is beyond the bounds."""
        highest = 0
        for one in self.mapped:
            places = (one.y, one.x)[axis]
            distance = max(int((row.up, row.left)[axis].max(initial=0)) for row in one.rows)
            highest = max(highest, int(places.max()), one.bounds[axis] + distance - 1)
        return width(highest + 1)


def packed(parts: dict[str, Whole], fields: dict[str, int]) -> Words:
    """Words of the named parts, each in its bits, the first highest; what is negative as its complement."""
    words = np.zeros(len(next(iter(parts.values()))), np.int64)
    for name, bits in fields.items():
        words = words << bits | parts[name] & ((1 << bits) - 1)
    return tuple(words.tolist())


def places(fields: dict[str, int]) -> dict[str, tuple[int, int]]:
    """The highest and lowest bit of each field of a word."""
    found, above = {}, sum(fields.values())
    for name, bits in fields.items():
        found[name] = (above - 1, above - bits)
        above -= bits
    return found

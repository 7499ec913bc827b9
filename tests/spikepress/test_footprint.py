"""Every byte of flash and RAM counts: one more in any section and the check says no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.buffers import live, place
from exporter.lower import lower
from exporter.plan import Memory, MemoryPlan, plan, schedules
from runtime import container
from spikepress.catalog import Device, Kind, Resource, Status, judge
from spikepress.needs import needs_of
from tests.builders.graphs import CASES, whole


def exactly(needs):
    """A device that has what is needed and not a byte more."""
    limits = {resource: needs[resource] for resource in (Resource.FLASH, Resource.RAM)}
    return Device("tight", "-", Kind.MCU, "-", 1, limits, {}, "test", Status.GENERAL)


@pytest.mark.parametrize("case", CASES)
def test_one_byte_more_in_any_section_does_not_fit(case):
    program = lower(whole(case))
    memory = plan(program)
    tight = exactly(needs_of(program, memory))
    assert judge(needs_of(program, memory), tight).fits
    assert len(memory.lines) >= 4
    for number, line in enumerate(memory.lines):
        lines = list(memory.lines)
        lines[number] = replace(line, bytes=line.bytes + 1)
        verdict = judge(needs_of(program, replace(memory, lines=tuple(lines))), tight)
        assert not verdict.fits
        assert verdict.binding is (Resource.FLASH if line.memory is Memory.FLASH else Resource.RAM)


@pytest.mark.parametrize("case", CASES)
def test_flash_lines_are_the_file_less_its_header(case):
    program = lower(whole(case))
    stored = len(container.to_bytes(program)) - container.header_bytes(program)
    assert plan(program).flash_bytes == stored


@pytest.mark.parametrize("case", CASES)
def test_every_buffer_of_the_peak_that_grows_by_a_word_grows_the_plan(case):
    program = lower(whole(case))
    for options in schedules(program):
        memory = plan(program, options)
        peak = memory.moments.index(memory.peak)
        for buffer in live(memory.buffers, peak):
            grown = [replace(b, bytes=b.bytes + 4 * (b is buffer)) for b in memory.buffers]
            assert sum(b.bytes for b in live(place(grown), peak)) == 4 + at(memory, peak)
            assert max(b.end for b in place(grown)) >= 4 + at(memory, peak)


def at(memory: MemoryPlan, moment: int) -> int:
    return sum(buffer.bytes for buffer in live(memory.buffers, moment))

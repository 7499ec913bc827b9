"""The memory plan: buffers that share bytes, queues, schedules."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.buffers import Buffer, extent, live, place
from exporter.lower import lower
from exporter.overflow import overflow
from exporter.plan import Kind, Memory, Order, PlanOptions, Queues, plan, schedules
from runtime.errors import ConfigError, UnsupportedError
from runtime.trace import Trace
from tests.builders.graphs import CASES, whole

ALL = [(case, options) for case in CASES for options in schedules(lower(whole(case)))]


def _told(value):
    return value.sentence.replace(" ", "-") if isinstance(value, PlanOptions) else value.replace(" ", "-")


@pytest.mark.parametrize(("case", "options"), ALL, ids=_told)
def test_buffers_live_together_never_overlap_and_lines_add_up(case, options):
    memory = plan(lower(whole(case)), options)
    for index, one in enumerate(memory.buffers):
        assert one.offset % one.align == 0
        for other in memory.buffers[index + 1 :]:
            assert not one.meets(other) or one.end <= other.offset or other.end <= one.offset
    assert memory.ram_bytes == extent(memory.buffers) <= memory.unshared_bytes + 64
    peak = memory.moments.index(memory.peak)
    needed = sum(buffer.bytes for buffer in live(memory.buffers, peak))
    assert needed == max(sum(b.bytes for b in live(memory.buffers, m)) for m in range(len(memory.moments)))
    gaps = sum(line.bytes for line in memory.lines if line.kind is Kind.GAPS)
    assert needed + gaps == memory.ram_bytes


def test_random_buffers_never_overlap_and_stay_near_the_bound():
    rng = np.random.default_rng(5)
    worst = 1.0
    for _ in range(200):
        starts = rng.integers(0, 8, 12)
        given = [
            Buffer(str(i), "x", int(rng.integers(1, 99)), int(s), int(s + rng.integers(0, 4)), 1)
            for i, s in enumerate(starts)
        ]
        placed = place(given)
        for index, one in enumerate(placed):
            for other in placed[index + 1 :]:
                assert not one.meets(other) or one.end <= other.offset or other.end <= one.offset
        bound = max(sum(b.bytes for b in live(placed, moment)) for moment in range(12))
        assert extent(placed) >= bound
        worst = max(worst, extent(placed) / (bound + 3))
    assert worst < 1.3


def test_one_more_byte_in_a_buffer_of_the_peak_is_one_more_byte_of_need():
    memory = plan(lower(whole("constant", bits=8, tight=False)))
    peak = memory.moments.index(memory.peak)
    for buffer in live(memory.buffers, peak):
        bigger = [replace(b, bytes=b.bytes + (b is buffer)) for b in memory.buffers]
        assert sum(b.bytes for b in live(bigger, peak)) == 1 + sum(
            b.bytes for b in live(memory.buffers, peak)
        )


def test_accumulators_of_two_layers_share_bytes():
    memory = plan(lower(whole("convolution")))
    sums = [b for b in memory.buffers if b.kind == Kind.ACCUMULATORS.value]
    assert len(sums) > 1
    assert memory.ram_bytes < memory.unshared_bytes


def test_bitmaps_hold_the_same_events_in_fewer_bytes():
    program = lower(whole("convolution"))
    lists, bits = (plan(program, PlanOptions(queues=queues)) for queues in Queues)
    assert bits.ram_bytes < lists.ram_bytes
    assert bits.flash_bytes == lists.flash_bytes


def test_layer_by_layer_holds_one_layers_membranes_at_a_time():
    memory = plan(lower(whole("convolution")), PlanOptions(Order.LAYERS))
    for moment in range(len(memory.moments)):
        held = [b for b in live(memory.buffers, moment) if b.kind == Kind.MEMBRANES.value]
        assert len(held) <= 1


def test_layer_by_layer_is_refused_for_a_net_with_delays():
    program = lower(whole("recurrent"))
    assert {options.order for options in schedules(program)} == {Order.STEPS}
    with pytest.raises(UnsupportedError, match="delays"):
        plan(program, PlanOptions(Order.LAYERS))


def test_a_chosen_bound_shortens_a_list_and_a_wrong_one_is_refused():
    program = lower(whole("convolution"))
    name = program.populations[1].name
    full, bounded = plan(program), plan(program, PlanOptions(event_bounds={name: 2}))
    queue = {m: _queue(memory, name) for m, memory in (("full", full), ("bounded", bounded))}
    assert queue["bounded"] == 2 + 2 < queue["full"]
    for wrong in ({name: 0}, {name: 10**6}, {"nobody": 1}):
        with pytest.raises(ConfigError, match="expected"):
            plan(program, PlanOptions(event_bounds=wrong))


def _queue(memory, name):
    return next(b.bytes for b in memory.buffers if (b.layer, b.kind) == (name, Kind.EVENT_QUEUES.value))


def test_what_a_bound_would_lose_is_counted():
    spikes = np.zeros((3, 2, 5), np.int32)
    spikes[0, 0, :4], spikes[2, 1, :] = 1, 1
    trace = Trace({"h": spikes}, {}, np.zeros((2, 1), np.int64), np.zeros(2, np.int64))
    found = overflow(trace, {"h": 3})["h"]
    assert (found.largest, found.steps, found.events) == (5, 2, 3)
    assert overflow(trace, {"h": 5})["h"].events == 0
    with pytest.raises(ConfigError, match="'x'"):
        overflow(trace, {"x": 1})


def test_flash_lines_do_not_depend_on_the_schedule():
    program = lower(whole("convolution"))
    flash = {
        tuple(line for line in plan(program, o).lines if line.memory is Memory.FLASH)
        for o in schedules(program)
    }
    assert len(flash) == 1

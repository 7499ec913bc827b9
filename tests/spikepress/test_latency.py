"""Clock cycles of machine code, the work of an inference, and what both make of a part's clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.cycle_nets import nets
from benchmarks.cycles import rows
from exporter.plan import Order, PlanOptions, Queues
from exporter.targets.c_cores import CORES
from runtime.encodings import encode
from runtime.engine import Engine
from spikepress.catalog import device
from spikepress.flows import worst_synops
from spikepress.latency import Clock, clock_of, has_clock
from spikepress.tools import elf
from spikepress.tools.cross import build_for_core
from spikepress.tools.cycles import TIMINGS, Cycles
from spikepress.tools.emulator import UnicornMachine
from spikepress.tools.instructions import take_apart
from spikepress.tools.machine import Memories
from spikepress.work import digit_share, mean_work, thinner, worst_work
from tests.builders.programs import mlp, random_input
from tests.builders.zoo import max_pooled, recurrent, sum_pooled

M0, M0PLUS, M4 = (TIMINGS[name] for name in ("cortex-m0", "cortex-m0plus", "cortex-m4"))
COUNTDOWN = """
__asm__(".syntax unified\\n.thumb\\n.section .text.countdown,\\"ax\\"\\n.global countdown\\n.thumb_func\\n"
        ".type countdown, %function\\ncountdown:\\n1: subs r0, r0, #1\\n bne 1b\\n bx lr\\n");
extern int countdown(int);
"""
LINK = "SECTIONS { . = 0x08000000; .text : { *(.text*) } /DISCARD/ : { *(.ARM*) } }\n"


@pytest.mark.parametrize(
    ("code", "timing", "low", "high"),
    [
        ("0130", M0, 1, 1),  # adds r0, #1
        ("4843", M0, 1, 32),  # muls: one cycle or thirty-two, as the part was made
        ("0868", M0, 2, 2),  # ldr r0, [r1]
        ("0860", M0, 2, 2),  # str r0, [r1]
        ("0848", M0, 2, 2),  # ldr r0, [pc, #32]
        ("8858", M0, 2, 2),  # ldr r0, [r1, r2]
        ("8850", M0, 2, 2),  # str r0, [r1, r2]
        ("f0b5", M0, 6, 6),  # push {r4-r7, lr}
        ("f0bd", M0, 9, 9),  # pop {r4-r7, pc}
        ("f0bd", M0PLUS, 8, 8),
        ("f0bc", M0, 5, 5),  # pop {r4-r7}
        ("0ec8", M0, 4, 4),  # ldmia r0!, {r1-r3}
        ("7047", M0, 3, 3),  # bx lr
        ("7047", M0PLUS, 2, 2),
        ("fee7", M0, 3, 3),  # b .
        ("f746", M0, 3, 3),  # mov pc, lr
        ("0846", M0, 1, 1),  # mov r0, r1
        ("00f000f8", M0, 4, 4),  # bl
        ("0868", M4, 1, 2),
        ("fee7", M4, 2, 4),
        ("b0fbf1f0", M4, 2, 12),  # udiv
        ("d1f80000", M4, 1, 2),  # ldr.w r0, [r1]
        ("2de9f041", M4, 7, 7),  # push.w {r4-r8, lr}
        ("bde8f081", M4, 8, 10),  # pop.w {r4-r8, pc}
    ],
)
def test_instructions_take_the_cycles_of_the_makers_table(code, timing, low, high):
    assert take_apart(bytes.fromhex(code), "arm", timing).cycles == Cycles(low, high)


@pytest.mark.parametrize(("code", "taken"), [("fdd1", 2), ("fed0", 2), ("fee7", 0), ("00df", 0), ("0130", 0)])
def test_only_a_conditional_branch_costs_more_when_it_is_taken(code, taken):
    assert take_apart(bytes.fromhex(code), "arm", M0).taken == Cycles(taken, taken)


@pytest.mark.parametrize(("core", "expected"), [("cortex-m0", 22 - 1), ("cortex-m0plus", 16)])
def test_a_loop_takes_what_its_turns_take(core, expected):
    """Five turns: five subtractions, four branches taken, one not, and the way back."""
    files = {"countdown.c": COUNTDOWN, "link.ld": LINK}
    image = elf.read(build_for_core(files, CORES[core], "-Wl,-e,countdown"))
    machine = UnicornMachine(image, CORES[core], Memories(1 << 12, 1 << 12))
    machine.begin_count()
    machine.call("countdown", 5)
    assert machine.count().instructions == 11
    assert machine.count().cycles == Cycles(expected, expected)


def test_a_core_without_published_cycles_has_none():
    assert "rv32ec" not in TIMINGS
    assert not has_clock(device("ch32v003"))
    assert not has_clock(device("rp2040"))


@pytest.mark.parametrize("encoding", ["lists", "rice", "bitmap"])
def test_executed_cycles_of_networks_drawn_anew_lie_within_the_stated_errors(encoding):
    """Fails when the C code changed and its costs were not fitted again."""
    clock = clock_of(device("nrf51822"))
    found = []
    for net in list(nets(77, (encoding,)))[:6]:
        for row in rows(net, CORES["cortex-m0"]):
            time = clock.span(row.work)
            assert time is not None
            found.append((row.cycles.high / (1_000 * clock.mhz), time))
    assert len(found) == 12
    for executed, time in found:
        assert 0.9 * time.low <= executed <= 1.1 * time.high


@pytest.mark.parametrize("program", [mlp(), recurrent("gaps"), sum_pooled("lists"), max_pooled("dense")])
def test_no_inference_does_more_than_the_worst_case(program):
    coded = np.ascontiguousarray(random_input(program, density=0.9))
    counts = Engine(program).run(coded).counts
    for queues in Queues:
        options = PlanOptions(queues=queues)
        mean, worst = mean_work(program, options, counts, coded), worst_work(program, options)
        assert mean.keys() <= worst.keys()
        assert all(times <= worst[name] * (1 + 1e-9) for name, times in mean.items())


def test_the_work_of_a_small_network_counted_by_hand():
    """6-8-4 of lists over six steps: rows are read for events, items are the additions."""
    program = mlp()
    coded = np.ascontiguousarray(random_input(program))
    counts = Engine(program).run(coded).counts
    work = mean_work(program, PlanOptions(), counts, coded)
    events = sum(found.events for found in counts.projections.values()) / 3
    assert work["linear lists read"] == pytest.approx(events)
    items = sum(found.index_decodes for found in counts.projections.values()) / 3
    assert work["linear lists item"] == pytest.approx(items)
    assert work["update"] == 12 * 6
    assert work["leak"] == 12 * 6
    assert work["step"] == 6
    weights = sum(int((table.arrays["weights"] != 0).sum()) for table in program.tables)
    assert worst_synops(program) == 6 * weights


@pytest.mark.parametrize(
    ("value", "ones", "digits"), [(255, 8, 2), (7, 3, 2), (5, 2, 2), (171, 5, 5), (1, 1, 1)]
)
def test_signed_digits_are_counted(value, ones, digits):
    assert digit_share(np.array([value, 0, -value])) == pytest.approx(digits / ones)


def test_a_schedule_without_c_code_has_no_work():
    program = mlp()
    assert worst_work(program, PlanOptions(Order.LAYERS)) is None


def test_a_full_row_that_is_read_often_counts_as_such():
    """Row 2, read in all six steps, has eight weights, the mean row two; all twelve take 16 bits."""
    weights = np.zeros((6, 8), np.int32)
    weights[2] = [1, 1, 1, 1, 2, 2, 3, 3]
    weights[0, :4] = 1
    program = mlp()
    program = replace(program, tables=(encode(weights, "huffman", 8), program.tables[1]))
    coded = np.zeros((6, 1, 6), np.int32)
    coded[:, :, 2] = 1
    work = mean_work(program, PlanOptions(), Engine(program).run(coded).counts, coded)
    assert work["linear huffman read"] == 6
    assert work["linear huffman item"] == pytest.approx(6 * 8)
    assert work["linear huffman code bit"] == pytest.approx(6 * 4 * 16 / 6)


def test_fewer_weights_are_less_of_what_is_done_for_each():
    assert thinner({"linear lists item": 8.0, "linear lists read": 8.0}, 0.25) == {
        "linear lists item": 2.0,
        "linear lists read": 8.0,
    }


def test_wait_states_and_past_errors_widen_the_span():
    exact = Clock("core", 2, 0, {"a": (10.0, 20.0), "x read": (1.0, 1.0)}, {"x": (-0.5, 0.25)})
    assert exact.span({"a": 1_000.0}).as_json() == [5.0, 10.0]
    assert replace(exact, wait_states=1).span({"a": 1_000.0}).as_json() == [5.0, 20.0]
    assert exact.span({"x read": 10_000.0}).as_json() == [4.0, 10.0]
    assert exact.span({"b": 1.0}) is None
    assert exact.span(None) is None

"""Generated C on emulated cores does what the engine does, membrane by membrane."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

from exporter.plan import PlanOptions, Queues
from exporter.targets.c_cores import CORES
from runtime.encodings import CANDIDATES
from runtime.engine import Engine
from runtime.program import Program
from spikepress.tools.cross import run_on_core
from tests.builders.programs import random_input
from tests.builders.zoo import ZOO
from tests.parity.test_c_host import assert_same
from tests.tiers import need, on

MEASURED = ("cortex-m0", "rv32ec", "cortex-m4", "rv32i", "cortex-m33")
QUEUES = tuple(Queues)
ROTATED = [
    on(core, case, CANDIDATES[(k + 5) % len(CANDIDATES)], core, QUEUES[k % 2])
    for k, (case, core) in enumerate(zip(ZOO, cycle(MEASURED), strict=False))
]
AVR = [on("avr", case, CANDIDATES[k % len(CANDIDATES)], QUEUES[k % 2]) for k, case in enumerate(ZOO)]


def assert_exact_on(core: str, program: Program, queues: Queues, samples: int = 3) -> None:
    frames = np.ascontiguousarray(random_input(program, samples, seed=9))
    need(core)
    expected = Engine(program).run(frames, trace=True).trace
    assert expected is not None
    assert_same(run_on_core(program, CORES[core], frames, PlanOptions(queues=queues)), expected)


@pytest.mark.parametrize(("case", "encoding", "core", "queues"), ROTATED)
def test_every_feature_gives_the_engines_spikes_and_membranes_on_a_core(
    case: str, encoding: str, core: str, queues: Queues
) -> None:
    assert_exact_on(core, ZOO[case](encoding), queues)


@pytest.mark.parametrize(("case", "encoding", "queues"), AVR)
def test_every_feature_gives_the_engines_spikes_and_membranes_on_an_avr(
    case: str, encoding: str, queues: Queues
) -> None:
    assert_exact_on("avr", ZOO[case](encoding), queues, samples=2)


@pytest.mark.tier("avr")
def test_payloads_pushed_into_bit_planes_compile_where_unsigned_has_16_bits() -> None:
    assert_exact_on("avr", ZOO["graded"]("lists"), Queues.BITMAPS, samples=1)


@pytest.mark.long
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("case", ZOO)
def test_every_core_gives_the_engines_spikes_and_membranes(case: str, core: str) -> None:
    for number, encoding in enumerate(CANDIDATES):
        assert_exact_on(core, ZOO[case](encoding), QUEUES[number % 2])

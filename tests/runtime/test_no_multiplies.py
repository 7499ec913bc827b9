"""No weight and no payload is multiplied: by the machine code of the kernels, and by their source."""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import runtime.kernels

FOLDER = Path(runtime.kernels.__file__).parent
SOURCES = sorted(path for path in FOLDER.rglob("*.py") if path.name != "archive.py")
"""All kernels that events reach; ``archive`` decodes weights for storage, before anything runs."""
PLACES = {
    "(at + 1) * channels",
    "(i64,) * 11",
    "(int(np.int64(index[at])) - lowest) * taps",
    "(now + step - flow[DELAY]) % lists[DEPTH] * lists[ROOM]",
    "(plane + 1) * area",
    "(plane + 1) * kernel",
    "(row + 1) * length",
    "(until - first) * (end - begin)",
    "(until - first) * span",
    "2 * int(np.int64(index[k]))",
    "64 * number",
    "8 * number",
    "LANES * j",
    "[0] * lanes",
    "[1] * TILE",
    "[8] * WIDE",
    "after * unit[PLANE]",
    "at * bits",
    "at * channels",
    "at * stride",
    "channel * area",
    "channel * inputs",
    "channel * ways",
    "channels * ways",
    "first * span",
    "flow[CHANNELS] * flow[PHASES]",
    "flow[CHANNELS] * taps",
    "found * _set_bits(int(np.int64(value[event])))",
    "gate[GATE_PLACES] * gate[GATE_CHANNELS]",
    "int(np.int64(ends[held - 1])) * flow[SPAN]",
    "k * size",
    "ky * wide",
    "number * flow[SLAB_WEIGHTS]",
    "number * slab",
    "op[PITCH] * top",
    "output * taps",
    "outputs * taps",
    "place * channels",
    "place * gate[GATE_WINDOW]",
    "place_y.shape[0] * side",
    "place_y.shape[0] * width",
    "plane * area",
    "plane * kernel",
    "planes * reached",
    "row * area",
    "row * length",
    "row * unit[PITCH]",
    "row * unit[ROW]",
    "row * unit[STRIDE]",
    "side * (k % 2)",
    "slot * events[ROOM]",
    "slot * lists[0, ROOM]",
    "slot * lists[ROOM]",
    "slot * lists[population, ROOM]",
    "step * plane",
    "until * stride",
    "y * side",
    "y * width",
}
"""Products of places, strides, sizes and counts: all that there are."""


def products(source: str) -> set[str]:
    """Every product, square and dot that a source writes."""
    kinds = (ast.Mult, ast.MatMult, ast.Pow)
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.BinOp | ast.AugAssign))
    return {ast.unparse(node) for node in found if isinstance(node.op, kinds)}


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """What ``machine_code`` found, in a process whose kernels are compiled there."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("reads x86-64 machine code")
    cache = tmp_path_factory.mktemp("compiled")
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.machine_code"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_no_kernel_multiplies_anything_but_addresses(code):
    assert [row for row in code["kernels"] if row["multiplies"]] == []


def test_every_kernel_was_compiled_and_looked_at(code):
    looked = {row["function"].split(".")[2] for row in code["kernels"]}
    expected = {path.relative_to(FOLDER).parts[0].removesuffix(".py") for path in SOURCES}
    assert looked == expected - {"__init__"}
    assert sum(row["instructions"] for row in code["kernels"]) > 50_000


def test_a_planted_multiplication_is_found_in_machine_code(code):
    assert any(row["multiplies"] for row in code["planted"])


def test_neurons_do_not_move_in_lanes_of_64_bits(code):
    passes = [
        row for row in code["kernels"] if row["function"].endswith(("neurons.fire_all", "neurons.fire_once"))
    ]
    assert {row["where"] for row in passes} >= {"fused", "lanes"}
    assert [row for row in passes if row["wide"]] == []


def test_kernels_multiply_only_places_and_strides():
    """Machine code cannot tell a 64-bit product of an address from one of a weight; the source can."""
    written = {product for path in SOURCES for product in products(path.read_text(encoding="utf-8"))}
    assert written == PLACES


def test_a_planted_multiplication_is_found_in_the_source():
    assert products("target[columns[k]] += weights[k] * payload") == {"weights[k] * payload"}
    assert products("x *= payload") == {"x *= payload"}

"""Broken files of other tools end in a named error or a right result: no crash, no hang, little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

MOST_BYTES = 500_000_000
SECONDS = 5.0
"""Of the processor: the clock runs on while others work."""


def judged(kind: str, first: int, count: int) -> dict:
    """What ``tests.hostile.judge_foreign`` says; it dies of a file that hangs."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.hostile.judge_foreign",
        kind,
        str(first),
        str(count),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"ended by {done.returncode} at file {done.stderr[-300:]}"
    return json.loads(done.stdout)


def hold(found: dict, count: int) -> None:
    assert found["raw"] == {}
    assert found["bytes"] < MOST_BYTES
    assert found["seconds"] < SECONDS
    assert sum(found["refused"].values()) + sum(found["sound"].values()) == count
    assert sum(found["refused"].values()) > count / 2, "most of these files are broken"


@pytest.mark.parametrize(
    ("kind", "count"),
    [("nir", 96), ("spk", 64), ("check.nir", 48), ("check.onnx", 90), ("check.spk", 48), ("events", 96)],
)
def test_broken_files_are_refused_in_a_sentence_or_read_right(kind, count):
    hold(judged(kind, 0, count), count)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("nir", 800),
        ("spk", 640),
        ("check.nir", 640),
        ("check.onnx", 1500),
        ("check.spk", 640),
        ("events", 1800),
    ],
)
def test_hundreds_of_broken_files_are_refused_in_a_sentence_or_read_right(kind, count):
    hold(judged(kind, 96, count), count)


def test_bytes_that_hang_the_hdf5_library_are_refused():
    """File 481 of the long test: reading its strings never ends."""
    hold(judged("nir", 481, 1), 1)

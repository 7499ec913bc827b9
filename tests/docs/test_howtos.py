"""Runs every fenced block of the how-tos, in order, in an empty folder.

A ``bash`` block is run line by line, a ``python`` block as a script. A block after the comment
``<!-- file: NAME -->`` is written to that file instead. Any other block is only read.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HOWTOS = sorted((ROOT / "docs").glob("howto-*.md"))
SLOW = {"howto-fpga", "howto-mcu"}
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    file: str | None


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [Block(m["kind"], m["text"], m["file"]) for m in BLOCK.finditer(text)]


def run(block, folder):
    if block.file is not None:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(block.text, encoding="utf-8")
    elif block.kind == "bash":
        # The installed command may belong to another environment; this one runs what is tested.
        lines = re.sub(r"^spikepress ", f"{sys.executable} -m spikepress ", block.text, flags=re.MULTILINE)
        lines = re.sub(r"^make\b", f"make PYTHON={sys.executable}", lines, flags=re.MULTILINE)
        check(["bash", "-euc", lines], folder)
    elif block.kind == "python":
        check([sys.executable, "-c", block.text], folder)


def check(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"


def test_the_three_howtos_are_there():
    assert {page.stem for page in HOWTOS} >= {"howto-first-model", "howto-your-model", "howto-your-data"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.long) if page.stem in SLOW else page for page in HOWTOS],
    ids=[page.stem for page in HOWTOS],
)
def test_a_howto_does_what_it_says(page, tmp_path):
    found = blocks(page)
    assert any(block.kind in ("bash", "python") for block in found)
    for block in found:
        run(block, tmp_path)

"""The CMake form of a firmware folder: its self-test alone, and several networks in another project."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.spikepress.test_firmware import network, written

CMAKE = shutil.which("cmake")
pytestmark = pytest.mark.skipif(
    CMAKE is None or shutil.which("cc") is None, reason="needs cmake and cc (apt-get install cmake gcc)"
)
PROJECT = """cmake_minimum_required(VERSION 3.16)
project(both C)
add_subdirectory(left/fw)
add_subdirectory(right/fw)
add_executable(both main.c)
target_link_libraries(both PRIVATE left right)
"""
MAIN = """#include "left/fw/snn_api.h"
#undef SNN_API
#include "right/fw/snn_api.h"
int main(void) { static left_t l; static right_t r; left_init(&l); right_init(&r); return 0; }
"""


def called(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def built(folder: Path) -> None:
    for command in (("-B", "build"), ("--build", "build")):
        found = called(folder, "cmake", *command)
        assert found.returncode == 0, found.stdout + found.stderr


def test_the_self_test_passes_and_fails_on_a_wrong_score(tmp_path: Path) -> None:
    folder = written(network(), tmp_path)
    file = folder / "snn.c"
    right = file.read_text(encoding="utf-8")
    wrong = right.replace("scores.at[output] = 0", "scores.at[output] = 1")
    assert wrong != right
    for text, passes in ((right, True), (wrong, False)):
        file.write_text(text, encoding="utf-8")
        built(folder)
        assert (called(folder, "ctest", "--test-dir", "build", "--no-tests=error").returncode == 0) == passes


def test_two_networks_are_libraries_of_one_project(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        written(network(), tmp_path / name, name=name)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "main.c").write_text(MAIN, encoding="utf-8")
    built(tmp_path)
    assert called(tmp_path, "build/both").returncode == 0
    assert not list((tmp_path / "build").rglob("selftest")), "the self-test is for the folder alone"

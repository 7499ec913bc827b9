"""A firmware folder under the GCC of its core, as the Makefile says to call it and cppcheck."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.parity.test_c_rows import two_maps
from tests.spikepress.test_firmware import network, written

GCC = {
    "stm32f030r8": "arm-none-eabi-gcc",
    "stm32f411": "arm-none-eabi-gcc",
    "nrf5340": "arm-none-eabi-gcc",
    "ch32v003": "riscv64-unknown-elf-gcc",
}
CHECKED = (
    "--enable=warning,performance,portability",
    "--std=c99",
    "--error-exitcode=1",
    "--inline-suppr",
    "--quiet",
)


def need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} (apt-get install {package})")


@pytest.mark.parametrize("device", GCC)
def test_the_call_that_the_makefile_gives_links_an_image(device: str, tmp_path: Path) -> None:
    need(GCC[device], GCC[device].removesuffix("-gcc").join(("gcc-", "")))
    folder = written(network(), tmp_path, device)
    said = re.search(
        rf"^# +(make CC={GCC[device]} .*)$", (folder / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert said is not None
    found = subprocess.run(shlex.split(said[1]), cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert (folder / "firmware.bin").stat().st_size > 0


def checked(*folders: Path) -> subprocess.CompletedProcess[str]:
    """test/host.c is left out: it is not firmware, blamed for populations of no neurons."""
    command = ["cppcheck", *CHECKED, "-ihost.c", *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cppcheck_finds_nothing_but_what_is_planted(tmp_path: Path) -> None:
    need("cppcheck", "cppcheck")
    folders = []
    for name, program in (("flat", network()), ("rows", two_maps("dense"))):
        (tmp_path / name).mkdir()
        folders.append(written(program, tmp_path / name))
    found = checked(*folders)
    assert found.returncode == 0, found.stderr
    for folder in folders:
        with (folder / "snn.c").open("a", encoding="utf-8") as file:
            file.write("int planted(void);\nint planted(void) { int a[2] = {0, 0}; return a[2]; }\n")
        assert "arrayIndexOutOfBounds" in checked(folder).stderr

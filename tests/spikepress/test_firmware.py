"""Firmware folders: built, emulated, refused. Built from small programs, without training."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.plan import plan
from exporter.targets import spk
from exporter.targets.c_cores import CORES
from exporter.targets.c_folder import Board, folder
from exporter.targets.c_source import describe, sources
from runtime.encodings import CANDIDATES
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError, FormatError, ModelError, UnsupportedError
from runtime.program import Program
from runtime.spec import Coding, InputSpec
from spikepress import catalog
from spikepress.cli import app
from spikepress.emulation import emulate
from spikepress.firmware import FirmwareOptions, board_of, export_firmware
from spikepress.pipeline import export
from spikepress.tools import avr, compiler, elf
from spikepress.tools.cross import build_for_core
from spikepress.tools.instructions import take_apart
from spikepress.tools.toolchain import missing
from tests.builders.programs import events, mlp
from tests.builders.zoo import ZOO
from tests.parity.test_c_rows import two_maps
from tests.tiers import need, on

STACK_SLACK = 64


def network(encoding: str = "lists") -> Program:
    """A network on constant analog input, as an image classifier has it."""
    spec = InputSpec((40,), Coding.DIRECT, 5, bits=4, constant=True)
    return mlp((40, 30, 6), encoding=encoding, spec=spec, seed=2)


def written(program: Program, folder: Path, device: str = "stm32f030r8", **options: str) -> Path:
    """A firmware folder and samples beside it, whose labels are the engine's predictions."""
    source = folder / "model.spk"
    spk.export(program, source)
    rng = np.random.default_rng(4)
    shape = program.input.shape if program.input.constant else (program.input.n_steps, *program.input.shape)
    x = rng.integers(0, 1 << program.input.bits, (6, *shape))
    coded = x[None].repeat(program.input.n_steps, 0) if program.input.constant else x.swapaxes(0, 1)
    y = Engine(program).run(np.ascontiguousarray(coded, np.int32)).predictions
    np.savez(folder / "data.npz", x=x, y=y)
    return export_firmware(source, folder / "fw", FirmwareOptions(device, **options))


def emulated(folder: Path, samples: int = 4):  # type: ignore[no-untyped-def]
    return emulate(folder, data=str(folder.parent / "data.npz"), samples=samples)


@pytest.mark.parametrize(
    "device",
    [
        on("cortex-m0", "stm32f030r8"),
        on("cortex-m4", "stm32f411"),
        on("rv32ec", "ch32v003"),
        on("avr", "atmega328p"),
    ],
)
def test_emulated_firmware_answers_exactly_and_never_multiplies(device: str, tmp_path: Path) -> None:
    need(board_of(catalog.device(device)).core.name)
    found = emulated(written(network("huffman"), tmp_path, device))
    assert found.accuracy == 1.0
    assert (found.mismatches, found.multiplies, found.soft_multiplies) == (0, 0, 0)
    assert 0 < found.min_instructions <= found.mean_instructions <= found.max_instructions
    assert found.worst_step_instructions > 0
    assert found.data_bytes == found.predicted_data_bytes > 0
    assert (
        found.predicted_struct_bytes <= found.static_ram_bytes <= found.predicted_struct_bytes + STACK_SLACK
    )
    assert 0 < found.stack_bytes < 256
    assert found.ram_bytes == found.static_ram_bytes + found.stack_bytes


@pytest.mark.parametrize("case", ["graded", "residual", "max pool"])
def test_constants_are_linked_without_a_gap_whatever_their_widths(case: str) -> None:
    program = ZOO[case]("lists")
    firmware = describe(program, plan(program))
    assert len({array.align for array in firmware.arrays}) > 1
    assert any(array.bytes % 2 for array in firmware.arrays)
    core = CORES["cortex-m0"]
    files = folder(firmware, Board("d", "D", core, 1, 1 << 16, 1 << 14))
    image = elf.read(build_for_core({n: t for n, t in files.items() if "/" not in n}, core))
    assert image.sections[".net_data"].bytes == firmware.data_bytes


@pytest.mark.parametrize(
    ("encoding", "schedule"),
    [("dense", "row by row, events in bitmaps"), ("lists", "step by step, events in lists")],
)
def test_whole_weights_of_a_convolution_run_row_by_row_though_there_is_room(
    encoding: str, schedule: str, tmp_path: Path
) -> None:
    folder = written(two_maps(encoding), tmp_path, "stm32f411")
    assert json.loads((folder / "report.json").read_text())["schedule"] == schedule
    found = emulated(folder, samples=2)
    assert (found.mismatches, found.multiplies, found.soft_multiplies) == (0, 0, 0)


@pytest.mark.tier("avr")
def test_the_time_of_an_avr_is_exact_and_its_own(tmp_path: Path) -> None:
    need("avr")
    folder = written(network("lists"), tmp_path, "atmega328p")
    found, again = emulated(folder), emulated(folder)
    assert found.cycles is not None
    assert found.cycles == again.cycles
    assert found.min_instructions < found.cycles.least[0] <= found.cycles.mean[0] <= found.cycles.most[0]
    assert found.worst_step_instructions < found.cycles.worst_step[0]
    assert found.cycles.mean[0] == found.cycles.mean[1]
    assert found.as_json()["ms"] == [found.cycles.mean[0] / 16_000] * 2
    assert "ms at 16 MHz" in found.sentence


def test_the_time_of_a_cortex_m_comes_from_its_makers_table(tmp_path: Path) -> None:
    """From one to two cycles an instruction on a Cortex-M0, within bounds on a Cortex-M4."""
    (tmp_path / "m0").mkdir()
    (tmp_path / "m4").mkdir()
    exact = emulated(written(network(), tmp_path / "m0", "stm32f030r8"))
    assert exact.cycles is not None
    assert exact.cycles.mean[0] == exact.cycles.mean[1]
    assert exact.mean_instructions < exact.cycles.mean[0] < 2 * exact.mean_instructions
    wide = emulated(written(network(), tmp_path / "m4", "stm32f411"))
    assert wide.cycles is not None
    assert wide.mean_instructions <= wide.cycles.mean[0] < wide.cycles.mean[1]
    assert " to " in wide.sentence


def test_a_core_without_published_cycles_has_no_time(tmp_path: Path) -> None:
    found = emulated(written(network(), tmp_path, "ch32v003"))
    assert found.cycles is None
    assert found.as_json()["cycles"] is None


def test_an_avr_refuses_an_array_its_compiler_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"_weights of 40,000 bytes, expected .* 32,767 bytes"):
        written(mlp((200, 200, 10), encoding="dense", density=1.0), tmp_path, "atmega2560")


def test_missing_tools_are_told_with_the_command_that_installs_them(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    gone = compiler.Compiler(("no-such-gcc",), "gcc-of-nowhere")
    with pytest.raises(ConfigError, match=r"found no no-such-gcc, .* `apt-get install gcc-of-nowhere`"):
        gone.version()
    monkeypatch.setattr(avr, "HEADER", Path("/nowhere/sim_avr.h"))
    avr.host.cache_clear()
    try:
        assert "apt-get install libsimavr-dev libelf-dev" in str(missing(CORES["avr"]))
    finally:
        avr.host.cache_clear()


def test_events_pushed_by_the_board_give_the_same_answers(tmp_path: Path) -> None:
    program = mlp((30, 20, 5), spec=events((30,), n_steps=5, bits=2), seed=3)
    found = emulated(written(program, tmp_path, "ch32v003", name="ear"))
    assert found.accuracy == 1.0
    assert found.mismatches == 0


@pytest.mark.parametrize("encoding", CANDIDATES)
def test_rows_of_3_bit_weights_never_multiply_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    spec = InputSpec((40,), Coding.DIRECT, 2, bits=4, constant=True)
    program = mlp((40, 100, 6), encoding=encoding, spec=spec, seed=2, bits=3)
    found = emulated(written(program, tmp_path), samples=1)
    assert (found.mismatches, found.multiplies, found.soft_multiplies) == (0, 0, 0)


def planted(folder: Path) -> Path:
    """The folder with one multiplication in the neuron's step."""
    file = folder / "snn.c"
    text = file.read_text(encoding="utf-8")
    changed = text.replace(
        "int32_t u = old", "int32_t u = old * (int32_t)(net->step | 1u) / 1 - old + old", 1
    )
    assert changed != text
    file.write_text(changed.replace("/ 1 - old + old", "", 1), encoding="utf-8")
    return folder


def test_a_planted_multiplication_is_counted(tmp_path: Path) -> None:
    assert emulated(planted(written(network(), tmp_path))).multiplies > 0


def test_a_planted_multiplication_does_not_even_link_without_a_multiplier(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="__mulsi3"):
        emulated(planted(written(network(), tmp_path, "ch32v003")))


def test_a_wrong_step_is_seen(tmp_path: Path) -> None:
    folder = written(network(), tmp_path)
    text = (folder / "snn.c").read_text(encoding="utf-8")
    (folder / "snn.c").write_text(re.sub(r"if \(u >= (\d+)\)", r"if (u > \1)", text), encoding="utf-8")
    assert emulated(folder).mismatches > 0


def test_data_that_does_not_fit_is_refused_with_the_section_and_a_part_that_holds_it(tmp_path: Path) -> None:
    program = mlp((200, 150, 10), encoding="dense", density=1.0)
    with pytest.raises(
        UnsupportedError, match=r"\.net_data of 31,\d+ bytes, .* 16,128; the smallest .* stm32"
    ):
        written(program, tmp_path, "ch32v003")
    assert not (tmp_path / "fw").exists()


def test_memory_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    program = mlp((20, 3000, 2), density=0.01)
    with pytest.raises(UnsupportedError, match=r"section \.bss of"):
        written(program, tmp_path, "ch32v003")


def test_the_linker_refuses_what_is_larger_than_the_device(tmp_path: Path) -> None:
    folder = written(network("dense"), tmp_path)
    script = (folder / "link.ld").read_text(encoding="utf-8")
    (folder / "link.ld").write_text(
        re.sub(r"LENGTH = \d+", "LENGTH = 1024", script, count=1), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="FLASH"):
        emulated(folder)


def test_a_layout_of_ones_own_is_used(tmp_path: Path) -> None:
    folder = written(network("huffman"), tmp_path, layout="lists")
    assert json.loads((folder / "report.json").read_text())["encodings"] == ["lists", "lists"]
    assert emulated(folder).mismatches == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (FirmwareOptions("ice40up5k"), UnsupportedError, "expected a microcontroller"),
        (FirmwareOptions("esp32"), UnsupportedError, "found '2 x Xtensa LX6'"),
        (FirmwareOptions("nothing"), ConfigError, "device: found 'nothing'"),
        (FirmwareOptions("ch32v003", name="A b"), ConfigError, "name: found 'A b'"),
        (FirmwareOptions("ch32v003", layout="fast"), ConfigError, "layout: found 'fast'"),
    ],
)
def test_what_cannot_be_is_refused_before_a_file_is_written(
    options: FirmwareOptions, error: type[Exception], words: str, tmp_path: Path
) -> None:
    spk.export(network(), tmp_path / "model.spk")
    with pytest.raises(error, match=words):
        export_firmware(tmp_path / "model.spk", tmp_path / "fw", options)
    assert not (tmp_path / "fw").exists()


def test_a_device_without_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected both or neither"):
        export(tmp_path, targets=("c",))


def test_a_folder_that_is_no_firmware_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="spikepress export --target c"):
        emulate(tmp_path)


def test_a_missing_compiler_is_told_with_the_command_that_installs_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def missing(name: str) -> str:
        raise compiler.PackageNotFoundError(name)

    monkeypatch.setattr(compiler, "version", missing)
    with pytest.raises(ConfigError, match=r"pip install 'spikepress\[mcu\]'"):
        compiler.compiler_version()


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"\x7fELF\x02\x01rest")
    with pytest.raises(FormatError, match="expected a 32-bit little-endian ELF file"):
        elf.read(tmp_path / "x.elf")
    (tmp_path / "y.elf").write_bytes(b"\x7fELF\x01\x01" + bytes(10))
    with pytest.raises(FormatError, match="sound ELF"):
        elf.read(tmp_path / "y.elf")


@pytest.mark.parametrize(
    ("code", "family", "instructions", "multiplies"),
    [
        ("7047", "arm", 1, 0),  # bx lr
        ("4843 01fb02f3 7047", "arm", 3, 2),  # muls, mul.w, bx lr
        ("b0fbf1f0", "arm", 1, 1),  # udiv
        ("33050502 13050500 0145", "riscv", 3, 1),  # mul, addi, c.li
    ],
)
def test_instructions_and_multiplications_are_told_apart(
    code: str, family: str, instructions: int, multiplies: int
) -> None:
    block = take_apart(bytes.fromhex(code), family)
    assert (block.instructions, block.multiplies) == (instructions, multiplies)


def test_the_self_test_passes_and_fails_on_a_wrong_score(tmp_path: Path) -> None:
    folder = written(network(), tmp_path)
    command = ["-std=c99", "-fsanitize-trap=undefined", "-DSNN_WATCH", "-DSNN_SELFTEST_MAIN", "-I.", "-Itest"]
    command += ["snn.c", "net_data.c", "test/selftest.c", "test/watch.c", "-o", "selftest"]
    file = folder / "snn.c"
    wrong = file.read_text(encoding="utf-8").replace("scores.at[output] = 0", "scores.at[output] = 1")
    for changed, status in ((False, 0), (True, 2)):
        if changed:
            file.write_text(wrong, encoding="utf-8")
        compiler.compile_in(folder, command)
        assert subprocess.run([str(folder / "selftest")], check=False).returncode == status


def test_two_networks_link_into_one_image_and_c_plus_plus_reads_the_interface(tmp_path: Path) -> None:
    calls = []
    for name in ("left", "right"):
        program = mlp(seed=len(name))
        where = tmp_path / name
        where.mkdir()
        for file, text in sources(describe(program, plan(program), name)).items():
            (where / file).write_text(text, encoding="utf-8")
        calls.append(
            f"{name}_init(&{name}); {name}_reset(&{name}); {name}_push(&{name}, 1); {name}_step(&{name});"
        )
    main = '#include "left/snn_api.h"\n#undef SNN_API\n#include "right/snn_api.h"\n'
    body = f"left_t left; right_t right; {' '.join(calls)} return left_answer(&left) < 4 ? 0 : 1;"
    main += f"int main() {{ {body} }}\n"
    (tmp_path / "main.cc").write_text(main, encoding="utf-8")
    objects = []
    for name in ("left", "right"):
        for file in ("snn", "net_data"):
            objects.append(f"{name}_{file}.o")
            compiler.compile_in(
                tmp_path, ("-std=c99", "-O1", "-c", f"-I{name}", f"{name}/{file}.c", "-o", objects[-1])
            )
    compiler.compile_in(tmp_path, ("-x", "c++", "-O1", "-c", "main.cc", "-o", "main.o"))
    compiler.compile_in(tmp_path, ("main.o", *objects, "-o", "both"))
    assert subprocess.run([str(tmp_path / "both")], check=False).returncode == 0


def test_the_commands_export_and_emulate(tmp_path: Path) -> None:
    written(network(), tmp_path)
    arguments = ["--target", "c", "--device", "ch32v003", "-o", str(tmp_path / "again"), "--json"]
    done = CliRunner().invoke(app, ["export", str(tmp_path / "model.spk"), *arguments])
    assert done.exit_code == 0, done.output
    data = ["--data", str(tmp_path / "data.npz"), "--samples", "2", "--json"]
    done = CliRunner().invoke(app, ["emulate", str(tmp_path / "again"), *data])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output[done.output.index("{") :])
    assert told["core"] == "rv32ec"
    assert told["instructions"]["mean"] > 0
    assert told["mismatches"] == told["multiplies"] == told["soft_multiplies"] == 0

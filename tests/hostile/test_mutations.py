"""Mutated ``.spk`` files: none crashes, hangs, reads beyond itself, takes much memory or leaks an error."""

import os
import subprocess
import sys
import time
import tracemalloc

import pytest

from runtime.container import from_bytes, read
from runtime.encodings import ENCODINGS
from runtime.engine import Engine
from runtime.errors import FormatError
from tests.builders.programs import random_input
from tests.hostile.forging import corpus, mutants

IN_THE_GATE = 5_120
IN_LONG = 102_400
ALLOWANCE = 1 << 18
"""What Python's objects for the manifest of a small file take beside four times its bytes."""
SECONDS = 5.0
RUN_ONE_IN = 16
MOST_STEPS, MOST_NEURONS = 64, 1 << 16


def judge(data: bytes, ran: bool) -> bool:
    """Whether a file is read; it must be, or be refused in one sentence, in little time and memory."""
    tracemalloc.clear_traces()
    start = time.process_time()
    program, sentence = None, ""
    try:
        program = from_bytes(data)
    except FormatError as error:
        sentence = str(error)
    assert len(sentence) < 2000
    assert "\n" not in sentence
    peak = tracemalloc.get_traced_memory()[1]
    assert peak <= 4 * len(data) + ALLOWANCE, f"{peak} bytes for a file of {len(data)}"
    if program is not None and ran and program.input.n_steps <= MOST_STEPS:
        Engine(program).run(random_input(program, samples=1))
    assert time.process_time() - start < SECONDS
    return program is not None


def judge_all(name: str, count: int, seed: int) -> int:
    """How many of ``count`` mutated files of an encoding are sound after all."""
    for data in corpus(name):  # compiled before anything is timed
        program = from_bytes(data)
        Engine(program).run(random_input(program, samples=1))
    tracemalloc.start()
    try:
        return sum(judge(data, k % RUN_ONE_IN == 0) for k, data in enumerate(mutants(name, count, seed)))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_five_thousand_mutated_files_are_read_or_refused(name):
    count = IN_THE_GATE // len(ENCODINGS)
    accepted = judge_all(name, count, seed=0)
    assert 0 < accepted < count, "some damage is harmless, most is not"


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_a_hundred_thousand_mutated_files_are_read_or_refused(name):
    count = IN_LONG // len(ENCODINGS)
    accepted = judge_all(name, count, seed=1)
    assert 0 < accepted < count


WITHOUT_COMPILING = """
import sys
from runtime.container import from_bytes
from runtime.engine import Engine
from runtime.errors import FormatError
from tests.builders.programs import random_input
from tests.hostile.forging import mutants
read = 0
for name in sys.argv[2:]:
    for data in mutants(name, int(sys.argv[1]), seed=2):
        if len(data) > 8000:
            continue
        try:
            program = from_bytes(data)
        except FormatError:
            continue
        if program.input.n_steps <= 8 and read % 8 == 0:
            Engine(program).run(random_input(program, samples=1))
        read += 1
print(read)
"""


def read_without_compiling(count: int) -> None:
    """Interpreted, a kernel that reads behind an array raises IndexError, which nothing catches."""
    names = ["archive", "rice", "nibbles", "codebook", "huffman", "bitmap", "gaps", "blocks4", "signs"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_COMPILING, str(count), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0


def test_no_kernel_reads_behind_its_arrays():
    read_without_compiling(40)


@pytest.mark.long
def test_no_kernel_reads_behind_its_arrays_in_thousands_of_files():
    read_without_compiling(1500)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_reading_a_sound_file_takes_less_than_twice_its_bytes(name, tmp_path):
    largest = max(corpus(name), key=len)
    path = tmp_path / "model.spk"
    path.write_bytes(largest)
    read(path)
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3 * len(largest) + ALLOWANCE, "the bytes, the arrays, and parts of them"

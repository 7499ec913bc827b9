"""Reads broken files one after another, in a process of its own:
``python -m tests.hostile.judge_foreign KIND FIRST COUNT``.

Prints how many were refused by name and how many read, and the most memory and processor time that any took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from runtime.errors import ModelError, SpikepressError

HANGS = 30
"""Seconds on the clock after which a file ends the process, also on a busy machine."""
MOST_VALUES = 1 << 16


def read_nir(path: Path) -> None:
    from exporter.reference import run_float
    from exporter.shapes import shapes
    from exporter.sources.nir import load_nir
    from exporter.wiring import input_of

    graph = load_nir(path)
    if sum(int(np.prod(shape)) for shape in shapes(graph).values()) < MOST_VALUES:
        run_float(graph, np.ones((2, 1, *input_of(graph).spec.shape), np.int32))


def broken_nir(path: Path, seed: int) -> str:
    from tests.hostile.broken_nir import write_broken

    return write_broken(path, seed)


def read_spk(path: Path) -> None:
    from runtime.container import read

    read(path)


def check(path: Path) -> None:
    """``spikepress check`` for all targets; what it finds is a refusal, in sentences of one line."""
    from spikepress.checking import TARGETS, check_model

    found = check_model(path, targets=() if path.suffix == ".onnx" else TARGETS)
    json.dumps(found.as_json())
    for one in found.findings:
        assert "\n" not in one.sentence
        assert len(one.sentence) < 2000
    if found.findings:
        raise ModelError(found.findings[0].sentence)


def broken_onnx(path: Path, seed: int) -> str:
    from tests.hostile.broken_onnx import write_broken

    return write_broken(path, seed)


def broken_spk(path: Path, seed: int) -> str:
    from runtime.encodings import ENCODINGS

    name = sorted(ENCODINGS)[seed % len(ENCODINGS)]
    path.write_bytes(_mutants(name, 40)[seed // len(ENCODINGS) % 40])
    return name


@cache
def _mutants(name: str, count: int) -> list[bytes]:
    from tests.hostile.forging import mutants

    return list(mutants(name, count, seed=9))


def broken_events(path: Path, seed: int) -> str:
    from tests.hostile.broken_events import KINDS as FILES
    from tests.hostile.broken_events import write_broken

    for old in path.parent.glob(f"{path.stem}.*"):
        old.unlink()
    kind = write_broken(path, seed)
    path.rename(path.with_suffix("." + FILES[seed % len(FILES)].rpartition(".")[2]))
    return kind


def read_events(path: Path) -> None:
    from trainer.datasets.files import read_event_file

    read_event_file(next(path.parent.glob(f"{path.stem}.*")))


KINDS: dict[str, tuple[Callable[[Path, int], str], Callable[[Path], None]]] = {
    "nir": (broken_nir, read_nir),
    "spk": (broken_spk, read_spk),
    "events": (broken_events, read_events),
    "check.nir": (broken_nir, check),
    "check.onnx": (broken_onnx, check),
    "check.spk": (broken_spk, check),
}


def _worked() -> float:
    """Processor seconds of this process and of the children that ended."""
    return sum(os.times()[:4])


def judge(kind: str, first: int, count: int) -> dict[str, object]:
    write, read = KINDS[kind]
    refused: Counter[str] = Counter()
    sound: Counter[str] = Counter()
    raw: dict[int, str] = {}
    longest = 0.0
    np.seterr(all="ignore")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{kind}"
        for seed in range(first, first + count):
            path.unlink(missing_ok=True)
            rule = write(path, seed)
            print(seed, rule, file=sys.stderr, flush=True)
            signal.alarm(HANGS)
            start = _worked()
            try:
                read(path)
                sound[rule] += 1
            except SpikepressError as error:
                refused[rule] += 1
                if "\n" in str(error) or len(str(error)) > 2000:
                    raw[seed] = f"{rule}: a message of {len(str(error))} characters"
            except Exception as error:
                raw[seed] = f"{rule}: {type(error).__name__}: {error}"
            longest = max(longest, _worked() - start)
            signal.alarm(0)
    return {"refused": refused, "sound": sound, "raw": raw, "seconds": longest, "bytes": peak_bytes()}


def peak_bytes() -> int:
    """The most memory this program had: of ``getrusage`` the process that started it may be a part."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(judge(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))

"""Prints, as JSON, what the machine code of the kernels multiplies: ``python -m tests.runtime.machine_code``.

Run it with an empty ``NUMBA_CACHE_DIR``: code from a cache cannot be looked at. It runs the networks of
``tests.builders.zoo`` in every stored form under both objectives, so that every kernel that events can reach
is compiled, and then takes each compiled function apart.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numba.core.registry import CPUDispatcher

from runtime.engine import Engine, Objective
from runtime.kernels.fused import driver as fused
from runtime.kernels.lanes import driver as lanes
from tests.builders.programs import mlp, random_input
from tests.builders.zoo import SPARSE_AND_DENSE, ZOO

LABEL = re.compile(r"^([A-Za-z_$][\w.$]*):")
PART = re.compile(r"(\d+)")
MULTIPLY = re.compile(r"^(v?p?mul|v?pmadd|v?fn?m(add|sub)|imul|mulx)\w*$")
ADDRESS = {"imulq", "mulq", "mulxq"}
"""64-bit multiplications of general registers: of places and strides, as ``test_no_multiplies`` shows."""
WIDE = re.compile(r"^vp(add|sub|cmpgt|sra|srl|sll|max|min|mull)\w*q$")
"""Arithmetic on lanes of 64 bits."""


@njit
def planted(target: Any, columns: Any, weights: Any, payload: Any) -> None:
    """What must be found: a weight times a payload."""
    for k in range(columns.size):
        target[columns[k]] += weights[k] * payload


def main() -> int:
    _run_all()
    rows = [row for where, kernel in _kernels() for row in _functions(where, kernel)]
    planted(np.zeros(4, np.int32), np.arange(4, dtype=np.uint8), np.ones(4, np.int8), np.int32(3))
    print(json.dumps({"kernels": rows, "planted": list(_functions("planted", planted))}))
    return 0


def _run_all() -> None:
    programs = [make(encoding) for make in ZOO.values() for encoding in SPARSE_AND_DENSE]
    for program in (*programs, mlp(encoding="signs", bits=2)):
        coded = np.ascontiguousarray(random_input(program))
        for objective in (Objective.FLASH, Objective.SPEED):
            Engine(program, objective=objective).run(coded)


def _kernels() -> Iterator[tuple[str, CPUDispatcher]]:
    yield "fused", fused.compiled()
    yield "lanes", lanes.compiled()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("runtime.kernels."):
            for kernel in vars(module).values():
                if isinstance(kernel, CPUDispatcher) and kernel.overloads and kernel.__module__ == name:
                    yield name, kernel


def _functions(where: str, kernel: CPUDispatcher) -> Iterator[dict[str, Any]]:
    """One row for each function in the machine code of a kernel, the ones Numba wraps around it left out."""
    for text in kernel.inspect_asm().values():
        symbol, found = "", []
        for line in [*text.splitlines(), "end:"]:
            label = LABEL.match(line)
            if label:
                if found and _named(symbol):
                    yield _row(where, _named(symbol), found)
                symbol, found = label.group(1), []
            elif line.startswith("\t") and not line.startswith("\t."):
                found.append(line.split()[0])


def _row(where: str, name: str, operations: list[str]) -> dict[str, Any]:
    multiplies = [one for one in operations if MULTIPLY.match(one)]
    return {
        "where": where,
        "function": name,
        "instructions": len(operations),
        "multiplies": [one for one in multiplies if one not in ADDRESS],
        "of_addresses": len(multiplies) - sum(one not in ADDRESS for one in multiplies),
        "wide": sum(bool(WIDE.match(one)) for one in operations),
    }


def _named(symbol: str) -> str:
    """``runtime.kernels.x.f`` of a symbol as Numba mangles it; nothing for code that is not a kernel's."""
    if not symbol.startswith("_ZN"):
        return ""
    rest, parts = symbol.removeprefix("_ZN"), []
    while found := PART.match(rest):
        size = int(found.group(1))
        rest = rest[found.end() :]
        parts.append(rest[:size])
        rest = rest[size:]
    name = ".".join(parts)
    return name if name.startswith(("runtime.kernels.", "tests.")) or "planted" in name else ""


if __name__ == "__main__":
    raise SystemExit(main())

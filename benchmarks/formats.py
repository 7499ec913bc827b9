"""Every encoding against the entropy bounds: size, encoding and decoding time, time of a walk.

``python -m benchmarks.formats --out FILE.json`` encodes uniform random masks of 80 to 99 % sparsity over
uniform 8-bit weights, as a linear table of 1024 x 1024 and as a 3 x 3 convolution of 256 to 256 channels,
and a table of 784-800-10 at 97 % in 4 bits; pointers and codebooks are counted. It times how long rows take
to walk (``benchmarks.format_pace``; the figures of ``runtime/pace.py``) and a net of the shape of VGG-16.
``--trained NAME=FILE.spk`` adds the tables of trained nets. ``--quick`` leaves walks and VGG-16 out and
times once: under a minute. A Markdown page is written beside the JSON.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.format_nets import DIGITS, Net, net_of, random_net, vgg16
from benchmarks.format_pace import Walk, fitted, walks
from benchmarks.format_page import page
from benchmarks.random_tables import SHAPES, uniform
from runtime.encodings import ENCODINGS, decode
from runtime.encodings.bounds import bounds
from runtime.encodings.registry import encode_sparse, sparse_of
from runtime.encodings.sparse import Sparse

OUT = Path(__file__).parent.parent / "docs" / "results" / "formats.json"
DENSITIES = (0.2, 0.1, 0.05, 0.03, 0.01)
BITS = 8
REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One table in one encoding. Bits are per nonzero weight, everything stored counted; ``bound`` is the
    smaller entropy bound and ``ratio`` what is stored over it; seconds are medians, of the processor."""

    shape: str
    density: float
    bits: int
    encoding: str
    kind: str
    bytes: int
    bits_per_nonzero: float
    bound: float
    ratio: float
    encode_s: float
    decode_s: float


def random_rows(repeats: int) -> Iterator[Row]:
    """Every encoding that can hold them on tables of every shape and density."""
    for shape in SHAPES:
        for density in DENSITIES:
            matrix = uniform(shape.rows, shape.columns, density, BITS)
            sparse = sparse_of(matrix, shape.taps)
            for name, encoding in ENCODINGS.items():
                if BITS in encoding.widths and encoding.fits(sparse, BITS):
                    yield measured(shape.name, sparse, name, repeats)


def measured(shape: str, sparse: Sparse, name: str, repeats: int) -> Row:
    """The line of one table; refuses an encoding that does not give the table back."""
    table = encode_sparse(sparse, name, BITS)
    if not np.array_equal(decode(table), sparse.matrix):
        raise RuntimeError(f"{name} of {shape}: found another table after decoding, expected the same")
    stored = sum(array.nbytes for array in table.arrays.values())
    bound = bounds(sparse)
    return Row(
        shape,
        round(sparse.density, 5),
        BITS,
        name,
        "executable" if ENCODINGS[name].executable else "storage",
        stored,
        round(8 * stored / bound.nonzeros, 4),
        round(bound.smaller / bound.nonzeros, 4),
        round(bound.ratio(stored), 4),
        # a table of its own each time: what is found of one once is kept with it
        seconds(lambda: encode_sparse(sparse_of(sparse.matrix, sparse.taps), name, BITS), repeats),
        seconds(lambda: decode(table), repeats),
    )


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median seconds of the processor that some work takes, whatever else the machine does."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return round(statistics.median(taken), 6)


def best(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The smallest form of each kind of each table."""
    found: dict[tuple[str, float, str], Row] = {}
    for row in rows:
        key = row.shape, row.density, row.kind
        if key not in found or row.bytes < found[key].bytes:
            found[key] = row
    names = ("shape", "density", "kind", "encoding", "bits_per_nonzero", "bound", "ratio")
    return [{name: getattr(row, name) for name in names} for row in found.values()]


def machine() -> dict[str, str]:
    """What times depend on besides the table."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "numba")},
    }


def result(trained: Sequence[tuple[str, Path]], *, quick: bool) -> dict[str, object]:
    """Everything measured, as JSON values."""
    rows = list(random_rows(1 if quick else REPEATS))
    nets: list[Net] = [random_net(DIGITS)]
    nets += [net_of(name, path) for name, path in trained]
    timed: list[Walk] = [] if quick else list(walks())
    return {
        "quick": quick,
        "versions": machine(),
        "best": best(rows),
        "nets": [asdict(net) for net in nets],
        "vgg16": None if quick else vgg16(),
        "paces": fitted(timed) if timed else None,
        "walks": [asdict(walk) for walk in timed],
        "rows": [asdict(row) for row in rows],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file; a page of the same name beside it")
    parser.add_argument("--quick", action="store_true", help="one repeat, no walks, no VGG-16")
    parser.add_argument(
        "--trained", action="append", default=[], metavar="NAME=FILE.spk", help="a trained net"
    )
    options = parser.parse_args(arguments)
    trained = [(name, Path(path)) for name, _, path in (text.partition("=") for text in options.trained)]
    found = result(trained, quick=options.quick)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    for row in found["best"]:  # type: ignore[attr-defined]  # a list by ``best``
        print(json.dumps(row))


if __name__ == "__main__":
    main()

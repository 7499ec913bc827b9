"""A reader written from ``docs/format.md`` alone gives the weights that the runtime gives."""

import numpy as np
import pytest

from runtime.container import from_bytes, to_bytes
from runtime.encodings import ENCODINGS, decode, encode
from tests.builders.zoo import ZOO
from tests.golden.by_the_document import matrices, table
from tests.golden.make_spk import GOLDEN, HERE
from tests.hostile.forging import corpus


@pytest.mark.parametrize("name", GOLDEN)
def test_the_documents_reader_gives_the_weights_of_the_golden_files(name):
    data = (HERE / f"v1-{name}.spk").read_bytes()
    found = matrices(data)
    assert found == [decode(stored).tolist() for stored in from_bytes(data).tables]


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_documents_reader_gives_the_weights_of_whole_files(name):
    for data in corpus(name)[:-1] or corpus(name):
        assert matrices(data) == [decode(stored).tolist() for stored in from_bytes(data).tables]


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name not in ("signs", "diagonal")])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_documents_reader_gives_the_weights_of_random_tables(name, bits):
    rng = np.random.default_rng(bits)
    highest = (1 << (bits - 1)) - 1
    for shape, taps in (((40, 30), 1), ((3, 600), 1), ((5, 9 * 14), 9)):
        weights = rng.integers(-highest - 1, highest + 1, shape)
        matrix = np.where(rng.random(shape) < rng.choice([0.02, 0.2, 0.7], (shape[0], 1)), weights, 0)
        stored = encode(matrix.astype(np.int32), name, bits, taps=taps)
        entry = {"encoding": name, "rows": shape[0], "columns": shape[1], "bits": bits}
        arrays = {
            part: (f"{array.dtype.kind}{array.dtype.itemsize}", array.tobytes())
            for part, array in stored.arrays.items()
        }
        assert table(entry, arrays) == matrix.tolist()


def test_the_documents_reader_reads_convolutions_and_their_diagonals():
    data = to_bytes(ZOO["residual"]("rice"))
    assert matrices(data) == [decode(stored).tolist() for stored in from_bytes(data).tables]

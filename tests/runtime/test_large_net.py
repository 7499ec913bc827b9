"""A net of VGG-16's shape at 95 % sparsity is encoded and loaded in seconds, and loads in little memory."""

import time
import tracemalloc

import numpy as np

from benchmarks.format_nets import vgg_program
from runtime.container import from_bytes, to_bytes
from runtime.encodings import decode


def test_vgg_16_is_encoded_in_ten_seconds_and_loaded_in_half_a_second():
    """By the processor's clock, compiled code being warm."""
    from_bytes(to_bytes(vgg_program(0.05, narrow=16)[0]))
    start = time.process_time()
    program, _ = vgg_program(0.05)
    data = to_bytes(program)
    assert time.process_time() - start < 10
    start = time.process_time()
    loaded = from_bytes(data)
    assert time.process_time() - start < 0.5
    assert sum(table.rows * table.columns for table in loaded.tables) > 14_000_000
    np.testing.assert_array_equal(decode(loaded.tables[5]), decode(program.tables[5]))
    tracemalloc.start()
    from_bytes(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * len(data)

"""Writes the golden ``.spk`` files that are missing. Those of a version never change; an encoding adds one:

python -m tests.golden.make_spk
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from runtime.container import write
from runtime.encodings import encode
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Program,
    Projection,
    Window,
)
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth

HERE = Path(__file__).parent
WEIGHTS = np.array([[0, 3, 0, -2], [0, 0, 0, 0], [1, 0, 0, 2]], np.int32)


ROW, COLUMN = np.mgrid[:20, :40]
MANY = (((7 * ROW + 3 * COLUMN) % 11 == 0) * ((5 * ROW + COLUMN) % 15 - 7)).astype(np.int32)
"""Enough rows for a second anchor; one value in eleven, -7 to 7."""


def model(**changes: object) -> IntegerNeuron:
    given: dict[str, object] = {
        "leak": Leak((2,)),
        "fire": Fire.BINARY,
        "reset": Reset.SUBTRACT,
        "width": StateWidth.INT16,
        "v_min": -1000,
        "v_max": 1000,
        "frac_bits": 1,
        "threshold_q": (3, 4, 5, 300),
        "reset_q": (3,),
        "bias_q": (0,),
        "start_q": (-1,),
    }
    return IntegerNeuron(**(given | changes))  # type: ignore[arg-type]


def many(encoding: str, bits: int) -> Program:
    """One linear projection of MANY, or of its signs in one bit; for blocks a convolution of six cells."""
    weights, blocks = np.sign(MANY) if bits == 1 else MANY, encoding.startswith("blocks")
    conv = ConvSynapses((20, 1, 2), (8, 1, 1), (1, 5), (1, 1), (0, 2), (1, 1), 1)
    pre, post = ((20, 1, 2), (8, 1, 2)) if blocks else ((20,), (40,))
    neuron = model(threshold_q=(300,))
    populations = (InputPopulation("input", pre), NeuronPopulation("out", post, neuron))
    synapses = replace(conv, out_shape=post) if blocks else LinearSynapses()
    projections = (Projection("fc", 0, 1, synapses, 0),)
    tables = (encode(weights, encoding, bits, taps=5 if blocks else 1),)
    return Program(InputSpec(pre, Coding.EVENTS, 4), populations, projections, tables, 1, Readout.COUNT)


def linear(encoding: str, bits: int) -> Program:
    """One linear projection of WEIGHTS."""
    populations = (InputPopulation("input", (3,)), NeuronPopulation("out", (4,), model()))
    projections = (Projection("fc", 0, 1, LinearSynapses(), 0, shift=1),)
    spec = InputSpec((3,), Coding.EVENTS, 4)
    tables = (encode(WEIGHTS, encoding, bits),)
    return Program(spec, populations, projections, tables, 1, Readout.COUNT, ("a", "b", "c", "d"), {"k": "v"})


def mixed() -> Program:
    """A convolution, a gate, a diagonal, recurrence, CUBA and a sum pool."""
    conv = ConvSynapses((1, 4, 4), (2, 4, 4), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    kernel = (np.arange(18, dtype=np.int32).reshape(1, 18) % 5 - 2) * (np.arange(18) % 3 > 0)
    cuba = model(
        synaptic_leak=Leak((1, 3)), threshold_q=(6,), fire=Fire.GRADED, payload_bits=2, payload_shift=(2,)
    )
    silent = model(fire=Fire.SILENT, reset=Reset.NONE, threshold_q=(1,))
    populations = (
        InputPopulation("input", (1, 4, 4)),
        NeuronPopulation("conv", (2, 4, 4), cuba),
        GatePopulation("gate", (2, 2, 2), 1, Window((2, 2), (2, 2))),
        NeuronPopulation("out", (3,), silent),
    )
    rng = np.random.default_rng(0)
    tables = (
        encode(kernel, "gaps", 4),
        encode(np.array([[300, -300]], np.int32), "diagonal", 16),
        encode(rng.integers(-4, 4, (8, 3)), "dense", 3),
        encode(rng.integers(-1, 2, (8, 3)), "bitmap", 2),
    )
    projections = (
        Projection("conv", 0, 1, conv, 0),
        Projection("skip", 1, 1, DiagonalSynapses(), 1, delay=1, shift=-6),
        Projection("heard", 2, 3, LinearSynapses(), 2),
        Projection("summed", 1, 3, LinearSynapses(), 3, pool=Window((2, 2), (2, 2))),
    )
    spec = InputSpec((1, 4, 4), Coding.DIRECT, 5, bits=4, scale=0.0625, constant=True)
    return Program(spec, populations, projections, tables, 3, Readout.MEMBRANE_SUM)


GOLDEN = {
    "dense": lambda: linear("dense", 3),
    "lists": lambda: linear("lists", 4),
    "gaps": lambda: linear("gaps", 8),
    "bitmap": lambda: linear("bitmap", 3),
    "mixed": mixed,
    "rice": lambda: many("rice", 4),
    "nibbles": lambda: many("nibbles", 8),
    "codebook": lambda: many("codebook", 8),
    "huffman": lambda: many("huffman", 4),
    "packed": lambda: many("packed", 4),
    "records": lambda: many("records", 8),
    "signs": lambda: many("signs", 1),
    "blocks4": lambda: many("blocks4", 4),
    "blocks8": lambda: many("blocks8", 8),
    "blocks16": lambda: many("blocks16", 4),
    "archive": lambda: many("archive", 8),
}


if __name__ == "__main__":
    for name, make in GOLDEN.items():
        place = HERE / f"v1-{name}.spk"
        if not place.exists():
            write(make(), place)

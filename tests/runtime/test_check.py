"""What ``check_program`` refuses, thing by thing; each message names it."""

import dataclasses

import numpy as np
import pytest

from runtime.bounds import largest_payloads
from runtime.check import check_program
from runtime.encodings import encode
from runtime.errors import ModelError
from runtime.program import DiagonalSynapses, InputPopulation, LinearSynapses, Window
from runtime.spec import Coding, Fire, InputSpec, Leak, Readout, Reset, StateWidth
from tests.builders.programs import Builder, events, mlp, neuron, silent
from tests.builders.zoo import ZOO, conv, max_pooled, recurrent, residual, sum_pooled


def with_input(program, **changes):
    return dataclasses.replace(program, input=dataclasses.replace(program.input, **changes))


def with_population(program, number, **changes):
    populations = list(program.populations)
    populations[number] = dataclasses.replace(populations[number], **changes)
    return dataclasses.replace(program, populations=tuple(populations))


def with_neuron(program, number=1, **changes):
    model = dataclasses.replace(program.populations[number].neuron, **changes)
    return with_population(program, number, neuron=model)


def with_projection(program, number=0, **changes):
    projections = list(program.projections)
    projections[number] = dataclasses.replace(projections[number], **changes)
    return dataclasses.replace(program, projections=tuple(projections))


def with_conv(**changes):
    program = conv("lists")
    synapses = dataclasses.replace(program.projections[0].synapses, **changes)
    return with_projection(program, synapses=synapses)


def one_weight(weight=100, payload_bits=1, shift=0, **changes):
    """One input, one neuron, one weight."""
    build = Builder(np.random.default_rng(0), events((1,), bits=payload_bits))
    post = build.neurons((1,), neuron(**changes))
    build.linear(0, post, "dense", shift=shift)
    build.matrices[0] = (np.array([[weight]], np.int32), "dense", 8)
    return build.program()


def many(count):
    """A program with this many inputs and neurons, and no weights."""
    build = Builder(np.random.default_rng(0), events((4,)))
    post = build.neurons((count,))
    build.linear(0, post, "lists")
    return build


@pytest.mark.parametrize("name", ZOO)
def test_every_program_of_the_zoo_is_accepted(name):
    check_program(ZOO[name]("gaps"))


WRONG = {
    "n_steps": (with_input(mlp(), n_steps=0), "n_steps"),
    "bits": (with_input(mlp(), bits=17), "bits"),
    "seed": (with_input(mlp(), seed=-1), "seed"),
    "scale": (with_input(mlp(), scale=float("nan")), "scale"),
    "signed events": (with_input(mlp(), signed=True), "signed events"),
    "constant events": (with_input(mlp(), constant=True), "constant events"),
    "wide rate": (with_input(mlp(), coding=Coding.RATE, bits=2), "rate coding"),
    "odd delta": (mlp((5, 4), spec=InputSpec((5,), Coding.DELTA, 4)), "even number"),
    "input shape": (with_input(mlp(), shape=(7,)), "population 0"),
    "no populations": (dataclasses.replace(mlp(), populations=()), "0 populations"),
    "two inputs": (
        dataclasses.replace(mlp(), populations=(*mlp().populations, InputPopulation("again", (2,)))),
        "out of place",
    ),
    "empty shape": (with_population(mlp(), 1, shape=()), "shape"),
    "negative shape": (with_population(mlp(), 1, shape=(-8,)), "shape"),
    "five axes": (with_population(mlp(), 1, shape=(1, 1, 1, 1, 8)), "shape"),
    "huge": (with_population(mlp(), 1, shape=(1 << 12, 1 << 12, 2)), "16777216"),
    "name twice": (with_population(mlp(), 2, name="p1"), "twice"),
    "no name": (with_population(mlp(), 1, name=""), "printable"),
    "control character": (with_population(mlp(), 1, name="a\nb"), "printable"),
    "projection name": (with_projection(mlp(), 1, name="s0"), "projection s0"),
    "pre": (with_projection(mlp(), pre=9), "pre"),
    "post": (with_projection(mlp(), post=-1), "post"),
    "post is input": (with_projection(mlp(), post=0, delay=1), "expected a population of neurons"),
    "table": (with_projection(mlp(), table=2), "table"),
    "negative table": (with_projection(mlp(), table=-1), "table"),
    "unused table": (dataclasses.replace(mlp(), tables=(*mlp().tables, mlp().tables[0])), "no projection"),
    "wrong table": (with_projection(mlp((6, 6, 6)), 1, table=0), "table 1"),
    "backwards": (with_projection(recurrent("lists"), 1, delay=0), "no delay"),
    "long delay": (with_projection(mlp(), delay=256), "delay"),
    "shift": (with_projection(mlp(), shift=31), "shift"),
    "table shape": (with_population(mlp(), 1, shape=(9,)), "6 x 9"),
    "diagonal of lists": (with_projection(mlp((6, 6)), synapses=DiagonalSynapses()), "diagonal"),
    "linear of diagonal": (
        with_projection(residual("lists"), 2, synapses=LinearSynapses()),
        "diagonal",
    ),
    "conv stride": (with_conv(stride=(0, 1)), "convolution"),
    "conv padding": (with_conv(padding=(-1, 1)), "convolution"),
    "conv output": (with_conv(stride=(2, 1)), "output"),
    "conv groups": (with_conv(groups=3), "groups"),
    "conv columns": (with_conv(groups=2), "4 x 27"),
    "conv input": (with_conv(in_shape=(4, 5, 6), out_shape=(6, 5, 6)), "population's"),
    "conv kernel": (with_conv(kernel=(1 << 16, 1 << 16), padding=(1 << 15, 1 << 15)), "output|kernel"),
    "overlapping sum pool": (
        with_projection(sum_pooled("lists"), pool=Window((3, 2), (2, 2))),
        "do not overlap",
    ),
    "padded sum pool": (
        with_projection(sum_pooled("lists"), pool=Window((2, 2), (2, 2), (1, 0))),
        "do not overlap",
    ),
    "pool of a vector": (with_projection(mlp(), pool=Window((1, 1), (1, 1))), "channels, height, width"),
    "gate source": (with_population(max_pooled("lists"), 1, source=1), "earlier"),
    "gate window": (with_population(max_pooled("lists"), 1, window=Window((3, 3), (2, 2), (2, 2))), "window"),
    "gate kernel": (with_population(max_pooled("lists"), 1, window=Window((9, 9), (1, 1))), "window"),
    "gate shape": (with_population(max_pooled("lists"), 1, shape=(2, 4, 4)), "shape"),
    "pool without shape": (with_population(max_pooled("lists"), 2, current_shape=None), "both"),
    "pool shape": (with_population(max_pooled("lists"), 2, shape=(4, 2, 2)), "shape"),
    "clamp order": (with_neuron(mlp(), v_min=5, v_max=4), "clamp"),
    "clamp width": (with_neuron(mlp(), width=StateWidth.INT8), "int8"),
    "start": (with_neuron(mlp(), v_max=3, start_q=(4,)), "start"),
    "lengths": (with_neuron(mlp(), threshold_q=(1, 2)), "threshold_q"),
    "wide bias": (with_neuron(mlp(), bias_q=(1 << 31,)), "bias_q"),
    "frac_bits": (with_neuron(mlp(), frac_bits=17), "fractional"),
    "binary payload": (with_neuron(mlp(), payload_bits=2), "payloads"),
    "binary payload shift": (with_neuron(mlp(), payload_shift=(1,)), "payload shift"),
    "graded payload": (with_neuron(mlp(), fire=Fire.GRADED, payload_bits=9), "payloads"),
    "graded threshold": (
        with_neuron(mlp(), fire=Fire.GRADED, payload_bits=2, payload_shift=(4,)),
        "payload step",
    ),
    "negative payload shift": (
        with_neuron(mlp(), fire=Fire.GRADED, payload_bits=2, payload_shift=(-1,)),
        "32 bits",
    ),
    "output": (dataclasses.replace(mlp(), output=7), "output"),
    "input as output": (dataclasses.replace(mlp(), output=0), "output"),
    "gate as output": (dataclasses.replace(max_pooled("lists"), output=1), "output"),
    "silent count": (with_neuron(mlp(), 2, fire=Fire.SILENT), "silent"),
    "classes": (dataclasses.replace(mlp(), classes=("a",)), "classes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses(name):
    program, found = WRONG[name]
    with pytest.raises(ModelError, match=found):
        check_program(program)


def test_a_damaged_table_is_named_by_its_projection():
    program = mlp()
    program.tables[0].arrays["indices"][0] = 200
    with pytest.raises(ModelError, match="s0: indices"):
        check_program(program)


WIDE = {"width": StateWidth.INT32, "v_min": -(1 << 24), "v_max": 1 << 24}


def test_sums_are_refused_from_the_first_that_could_reach_31_bits():
    room = (1 << 31) - 1 - (1 << 24) - 12
    for shift, fits in ((24, True), (25, False)):
        total = 64 << shift
        assert (total <= room) is fits
        program = one_weight(64, shift=shift, **WIDE)
        if fits:
            check_program(program)
        else:
            with pytest.raises(ModelError, match="2\\^31"):
                check_program(program)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": StateWidth.INT32, "v_min": -(1 << 31), "v_max": (1 << 31) - 1},
        {"bias_q": ((1 << 31) - 1,)},
        {"reset_q": ((1 << 31) - 1,)},
        {**WIDE, "v_max": (1 << 30) - 1, "synaptic_leak": Leak((1,)), "bias_q": (1 << 10,)},
    ],
)
def test_every_part_of_a_step_counts_towards_the_bound(changes):
    with pytest.raises(ModelError, match="2\\^31"):
        check_program(one_weight(**changes))


def test_a_reset_to_a_value_adds_nothing():
    check_program(one_weight(reset=Reset.VALUE, reset_q=((1 << 31) - 1,)))


def test_payload_widths_and_pools_widen_the_bound():
    assert largest_payloads(max_pooled("lists")) == [3, 3, 1, 0]
    wide = {"payload_bits": 16, **WIDE}
    check_program(one_weight(64, shift=8, **wide))
    with pytest.raises(ModelError, match="2\\^31"):
        check_program(one_weight(64, shift=9, **wide))


def test_absurd_memory_is_refused_before_it_is_asked_for():
    for count in (1 << 24, 1 << 60):
        build = many(4)
        build.populations[1] = dataclasses.replace(build.populations[1], shape=(count,))
        with pytest.raises(ModelError, match=r"neurons|shape"):
            check_program(build.program())
    build = many(1 << 20)
    build.matrices[0] = (np.zeros((4, 1 << 20), np.int32), "lists", 8)
    build.diagonal(1, 1, delay=255)
    build.matrices[1] = (np.zeros((1, 1 << 20), np.int32), "diagonal", 2)
    with pytest.raises(ModelError, match="buffered items"):
        check_program(build.program())


def test_a_table_shared_by_two_kinds_of_synapses_is_refused():
    program = residual("lists")
    shared = dataclasses.replace(program.projections[2], name="again", synapses=LinearSynapses())
    with pytest.raises(ModelError, match="other synapses"):
        check_program(dataclasses.replace(program, projections=(*program.projections, shared)))


def test_a_readout_population_may_be_silent_when_its_membrane_is_read():
    build = Builder(np.random.default_rng(0), events((3,)))
    post = build.neurons((2,), silent())
    build.linear(0, post)
    check_program(build.program(Readout.MEMBRANE_LAST))


def test_a_gate_over_a_signed_input_is_refused():
    build = Builder(np.random.default_rng(0), InputSpec((1, 4, 4), Coding.DIRECT, 3, bits=4, signed=True))
    gate = build.gate(0, Window((2, 2), (2, 2)))
    post = build.neurons((2,))
    build.linear(gate, post)
    with pytest.raises(ModelError, match="signed"):
        check_program(build.program())


def test_diagonals_may_count_channels_or_neurons_only():
    program = residual("lists")
    tables = list(program.tables)
    tables[2] = encode(np.ones((1, 5), np.int32), "diagonal", 4)
    with pytest.raises(ModelError, match="channels"):
        check_program(dataclasses.replace(program, tables=tuple(tables)))

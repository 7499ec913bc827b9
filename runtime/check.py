"""``check_program``: refuses whatever a kernel could not run safely or the contract does not express."""

from __future__ import annotations

import math

from runtime.bounds import check_sums
from runtime.check_neuron import check_neuron
from runtime.encodings import check_table
from runtime.errors import ModelError
from runtime.geometry import conv_output, window_output
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Window,
    n_neurons,
)
from runtime.spec import Coding, Fire, InputSpec, Readout

MAX_NEURONS = 1 << 24
"""Of a whole program, input included: about 100 bytes of buffers each."""
MAX_PARTS = 1 << 12
"""Populations, projections and tables, each."""
MAX_ITEMS = 1 << 26
"""Numbers that an engine's address tables, fan-out tables and delay lines may hold together."""
MAX_DELAY = 255
MAX_STEPS = 1 << 20
MAX_INPUT_BITS = 16
MAX_PROJECTION_SHIFT = 30
MAX_SIDE = 1 << 16
MAX_NAME = 256


def check_program(program: Program) -> None:
    """Raise ``ModelError`` naming the first thing that is out of bounds or outside the contract."""
    check_input(program.input)
    _check_populations(program)
    _check_parts(program)
    for projection in program.projections:
        _check_projection(program, projection)
    _check_total(program)
    _check_names(program)
    _check_output(program)
    check_sums(program)


def require(found: bool, subject: str, what: object, expected: str) -> None:
    if not found:
        raise ModelError(f"{subject}: found {what}, expected {expected}")


def check_input(spec: InputSpec) -> None:
    """Refuse an input that no coding could produce."""
    for name, value, lowest, highest in (
        ("n_steps", spec.n_steps, 1, MAX_STEPS),
        ("bits", spec.bits, 1, MAX_INPUT_BITS),
        ("sample_bits", spec.sample_bits, 1, MAX_INPUT_BITS),
        ("sample_shift", spec.sample_shift, 0, MAX_INPUT_BITS - spec.bits),
        ("delta", spec.delta, 1, (1 << 31) - 1),
        ("seed", spec.seed, 0, (1 << 32) - 1),
        ("step_us", spec.step_us, 1, (1 << 31) - 1),
    ):
        require(lowest <= value <= highest, f"input {name}", value, f"{lowest}..{highest}")
    positive = math.isfinite(spec.scale) and spec.scale > 0
    require(positive, "input scale", spec.scale, "a finite number above 0")
    direct = spec.coding is Coding.DIRECT
    require(
        direct or not spec.signed, "input", f"signed {spec.coding.value} input", "signed direct input only"
    )
    require(
        direct or not spec.constant, "input", f"constant {spec.coding.value} input", "constant direct only"
    )
    whole = spec.sample_shift == 0 or (direct and not spec.signed)
    require(whole, "input sample_shift", spec.sample_shift, "0 but for unsigned direct input")
    binary = spec.coding in (Coding.RATE, Coding.LATENCY)
    require(not binary or spec.bits == 1, "input bits", spec.bits, f"1 for {spec.coding.value} coding")
    even = spec.coding is not Coding.DELTA or math.prod(spec.shape) % 2 == 0
    require(even, "input shape", spec.shape, "an even number of delta channels, rising ones first")


def _check_populations(program: Program) -> None:
    populations = program.populations
    require(2 <= len(populations) <= MAX_PARTS, "program", f"{len(populations)} populations", "2..4096")
    total = 0
    for number, population in enumerate(populations):
        _check_shape(population.name, population.shape)
        total += n_neurons(population)
        require(total <= MAX_NEURONS, "program", f"{total} neurons or more", f"at most {MAX_NEURONS}")
        is_input = isinstance(population, InputPopulation)
        require(is_input == (number == 0), population.name, "an input out of place", "the input first, once")
        if isinstance(population, GatePopulation):
            _check_gate(program, number, population)
        elif isinstance(population, NeuronPopulation):
            _check_neurons(population)
    expected = f"the input's {program.input.shape}"
    require(populations[0].shape == program.input.shape, "population 0", populations[0].shape, expected)


def _check_shape(name: str, shape: tuple[int, ...]) -> None:
    sized = 1 <= len(shape) <= 4 and all(1 <= side <= MAX_NEURONS for side in shape)
    require(sized, f"{name}: shape", shape, "one to four positive sides")
    require(math.prod(shape) <= MAX_NEURONS, f"{name}: shape", shape, f"at most {MAX_NEURONS} neurons")


def _check_window(name: str, shape: tuple[int, ...], window: Window) -> None:
    """A pooling window fits its input and no window lies in padding alone."""
    require(len(shape) == 3, f"{name}: pooled shape", shape, "channels, height, width")
    sides = zip(shape[1:], window.kernel, window.stride, window.padding, strict=True)
    for side, kernel, stride, padding in sides:
        fits = 1 <= kernel <= min(side + 2 * padding, MAX_SIDE) and 1 <= stride <= MAX_SIDE
        expected = "a kernel inside the input, a stride of at least 1, padding at most half the kernel"
        require(fits and 0 <= 2 * padding <= kernel, f"{name}: window", window, expected)
    cells = math.prod(window_output(shape, window)) * math.prod(window.kernel)
    require(cells <= 4 * MAX_NEURONS, f"{name}: window", f"{cells} cells", f"at most {4 * MAX_NEURONS}")


def _check_gate(program: Program, number: int, gate: GatePopulation) -> None:
    require(0 <= gate.source < number, f"{gate.name}: source", gate.source, "an earlier population")
    signed = gate.source == 0 and program.input.signed
    require(not signed, f"{gate.name}: source", "a signed input", "payloads of 0 and above")
    source = program.populations[gate.source].shape
    _check_window(gate.name, source, gate.window)
    pooled = window_output(source, gate.window)
    require(gate.shape == pooled, f"{gate.name}: shape", gate.shape, str(pooled))


def _check_neurons(population: NeuronPopulation) -> None:
    paired = (population.pool is None) == (population.current_shape is None)
    require(paired, population.name, "a pool or a current shape alone", "both or neither")
    if population.pool is not None and population.current_shape is not None:
        _check_shape(f"{population.name}: currents", population.current_shape)
        _check_window(population.name, population.current_shape, population.pool)
        pooled = window_output(population.current_shape, population.pool)
        require(population.shape == pooled, f"{population.name}: shape", population.shape, str(pooled))
    check_neuron(population.name, population.neuron, population.shape)


def _check_parts(program: Program) -> None:
    """Every table is sound and used, by one kind of synapses."""
    count = len(program.tables)
    require(max(count, len(program.projections)) <= MAX_PARTS, "program", "too many parts", f"{MAX_PARTS}")
    users: dict[int, Projection] = {}
    for p in program.projections:
        require(0 <= p.table < count, f"{p.name}: table", p.table, f"0..{count - 1}")
        first = users.setdefault(p.table, p)
        same = type(first.synapses) is type(p.synapses)
        require(same, f"table {p.table}", f"other synapses in {p.name} than in {first.name}", "one kind")
    for number, table in enumerate(program.tables):
        require(number in users, f"table {number}", "no projection that uses it", "at least one")
        try:
            check_table(table)
        except ModelError as error:
            raise ModelError(f"{users[number].name}: {error}") from error


def _check_total(program: Program) -> None:
    """The buffers and address tables of an engine stay within reason."""
    sizes = [n_neurons(population) for population in program.populations]
    delays = [0] * len(sizes)
    total = 0
    for p in program.projections:
        total += sizes[p.pre] + sizes[p.post]
        delays[p.pre] = max(delays[p.pre], p.delay)
    total += sum(size * delay for size, delay in zip(sizes, delays, strict=True))
    for population in program.populations:
        match population:
            case GatePopulation():
                total += n_neurons(population) * math.prod(population.window.kernel)
            case NeuronPopulation(pool=Window() as window):
                total += n_neurons(population) * math.prod(window.kernel) + math.prod(
                    population.current_shape or ()
                )
    require(total <= MAX_ITEMS, "program", f"{total} buffered items", f"at most {MAX_ITEMS}")


def _check_projection(program: Program, p: Projection) -> None:
    count = len(program.populations)
    require(0 <= p.pre < count, f"{p.name}: pre", p.pre, f"0..{count - 1}")
    require(0 <= p.post < count, f"{p.name}: post", p.post, f"0..{count - 1}")
    require(0 <= p.delay <= MAX_DELAY, f"{p.name}: delay", p.delay, f"0..{MAX_DELAY}")
    forward = p.delay > 0 or p.pre < p.post
    require(forward, p.name, f"no delay from population {p.pre} to {p.post}", "a later population or a delay")
    limit = MAX_PROJECTION_SHIFT
    require(-limit <= p.shift <= limit, f"{p.name}: shift", p.shift, f"{-limit}..{limit}")
    pre, post = program.populations[p.pre], program.populations[p.post]
    assert_neurons = isinstance(post, NeuronPopulation)
    require(
        assert_neurons, f"{p.name}: post", f"{post.name}, which has no neurons", "a population of neurons"
    )
    shape = _presynaptic_shape(p, pre)
    target = post.current_shape if isinstance(post, NeuronPopulation) and post.pool else post.shape
    assert target is not None
    _check_synapses(p, program.tables[p.table], shape, target)


def _presynaptic_shape(p: Projection, pre: Population) -> tuple[int, ...]:
    """Shape that the table sees: of the population, or of its sum-pooled windows."""
    if p.pool is None:
        return pre.shape
    _check_window(p.name, pre.shape, p.pool)
    apart = all(s >= k for s, k in zip(p.pool.stride, p.pool.kernel, strict=True))
    whole = apart and p.pool.padding == (0, 0)
    require(whole, f"{p.name}: pool", p.pool, "windows that do not overlap, without padding")
    return window_output(pre.shape, p.pool)


def _check_synapses(p: Projection, table: EncodedMatrix, pre: tuple[int, ...], post: tuple[int, ...]) -> None:
    diagonal = isinstance(p.synapses, DiagonalSynapses)
    matched = diagonal == (table.encoding == "diagonal")
    require(matched, f"{p.name}: encoding", table.encoding, "diagonal for a diagonal, and only there")
    found = f"a table of {table.rows} x {table.columns}"
    sources, targets = math.prod(pre), math.prod(post)
    match p.synapses:
        case LinearSynapses():
            fits = (table.rows, table.columns) == (sources, targets)
            require(fits, p.name, found, f"{sources} x {targets}")
        case DiagonalSynapses():
            require(sources == targets, p.name, f"{sources} sources", f"as many as its {targets} targets")
            fits = table.rows == 1 and table.columns in (post[0], targets)
            require(fits, p.name, found, f"1 x {post[0]} channels or 1 x {targets} neurons")
        case ConvSynapses():
            _check_conv(p.name, p.synapses, pre, post)
            columns = p.synapses.out_shape[0] // p.synapses.groups * math.prod(p.synapses.kernel)
            fits = (table.rows, table.columns) == (p.synapses.in_shape[0], columns)
            require(fits, p.name, found, f"{p.synapses.in_shape[0]} x {columns}")


def _check_conv(name: str, conv: ConvSynapses, pre: tuple[int, ...], post: tuple[int, ...]) -> None:
    _check_shape(f"{name}: input", conv.in_shape)
    _check_shape(f"{name}: output", conv.out_shape)
    positive = (*conv.kernel, *conv.stride, *conv.dilation, conv.groups)
    sized = all(1 <= value <= MAX_SIDE for value in positive) and all(
        0 <= v <= MAX_SIDE for v in conv.padding
    )
    require(sized, f"{name}: convolution", conv, f"sizes in 1..{MAX_SIDE}, padding of at least 0")
    require(len(conv.in_shape) == len(conv.out_shape) == 3, name, conv, "shapes of three sides")
    require(
        conv_output(conv) == conv.out_shape[1:], f"{name}: output", conv.out_shape, str(conv_output(conv))
    )
    divided = conv.in_shape[0] % conv.groups == 0 and conv.out_shape[0] % conv.groups == 0
    require(divided, f"{name}: groups", conv.groups, "a divisor of both channel counts")
    for end, shape, found in (("input", pre, conv.in_shape), ("output", post, conv.out_shape)):
        same = shape == found if len(shape) == 3 else math.prod(shape) == math.prod(found)
        require(same, f"{name}: {end}", found, f"the population's {shape}")
    taps, channels = math.prod(conv.kernel), max(conv.in_shape[0], conv.out_shape[0] // conv.groups)
    addresses = max(taps * channels, conv.in_shape[1] * conv.kernel[0], conv.in_shape[2] * conv.kernel[1])
    require(addresses <= MAX_NEURONS, f"{name}: kernel", conv.kernel, "one that its address tables can hold")


def _check_names(program: Program) -> None:
    seen: set[str] = set()
    for part in (*program.populations, *program.projections):
        printable = 1 <= len(part.name) <= MAX_NAME and part.name.isprintable()
        require(printable, "name", repr(part.name[:MAX_NAME]), f"1..{MAX_NAME} printable characters")
        kind = "projection" if isinstance(part, Projection) else "population"
        require(f"{kind} {part.name}" not in seen, f"{kind} {part.name}", "the name twice", "it once")
        seen.add(f"{kind} {part.name}")


def _check_output(program: Program) -> None:
    known = 0 < program.output < len(program.populations)
    require(known, "output", program.output, f"1..{len(program.populations) - 1}")
    output = program.populations[program.output]
    if not isinstance(output, NeuronPopulation):
        raise ModelError(f"output: found {output.name}, expected a population of neurons")
    silent = output.neuron.fire is Fire.SILENT and program.readout is Readout.COUNT
    require(not silent, "readout", f"a count of {output.name}, which is silent", "a membrane readout")
    named = len(program.classes) in (0, n_neurons(output))
    require(named, "classes", f"{len(program.classes)} names", f"none or {n_neurons(output)}")

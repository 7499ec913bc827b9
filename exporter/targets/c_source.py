"""Writes a ``Program`` as a folder of C99: the network, its engine, and what proves them.

No heap, no library, no floating point, no recursion, nothing static: all state is in a struct of the caller.
The templates in ``templates/`` read as C; this module only describes the network to them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.files import write_whole
from exporter.plan import MemoryPlan, Order, Queues
from exporter.targets.c_arithmetic import Arithmetic
from exporter.targets.c_arrays import Array, arrays_of
from exporter.targets.c_memory import Memory, Role, memory_of
from exporter.targets.c_neurons import Gate, Neurons, gate_of, neurons_of
from exporter.targets.c_pairs import is_paired
from exporter.targets.c_rows import Layer, layers_of
from exporter.targets.c_synapses import Source, Synapse, source_of, synapse_of
from runtime.check import check_program
from runtime.encodings import ENCODINGS
from runtime.errors import ConfigError, OutputError, UnsupportedError
from runtime.program import GatePopulation, NeuronPopulation, Program, n_neurons
from runtime.spec import Coding

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
NETWORK = ("net.h", "net_data.h", "net_data.c", "snn_api.h", "snn.c")
WATCHERS = ("watch.h", "watch.c", "host.c", "core.c")
CODINGS = (Coding.EVENTS, Coding.DIRECT)
MOST_FRAME_BITS = 16


@dataclass(frozen=True)
class Firmware:
    """A network described for the templates. ``prefix`` begins every symbol."""

    prefix: str
    program: Program
    plan: MemoryPlan
    memory: Memory
    arrays: tuple[Array, ...]
    synapses: tuple[Synapse, ...]
    neurons: tuple[Neurons, ...]
    gates: tuple[Gate, ...]
    input: Source
    arithmetic: Arithmetic
    layers: tuple[Layer, ...]
    """How each population runs where the schedule goes row by row; else nothing."""
    paired: frozenset[int]
    """Projections that add two outputs at once."""

    @property
    def by_rows(self) -> bool:
        return self.plan.options.order is Order.ROWS

    @property
    def data_bytes(self) -> int:
        """Bytes of all constant arrays: the linked section holds exactly these."""
        return sum(array.bytes for array in self.arrays)

    @property
    def ram_bytes(self) -> int:
        """Bytes of one network's struct."""
        return self.memory.bytes


def describe(program: Program, plan: MemoryPlan, name: str = "snn", pairs: bool = False) -> Firmware:
    """The firmware of a checked program under a schedule.

    With ``pairs`` convolutions that go row by row add two outputs at once where 16 bits hold every sum, for
    four bytes of flash a pair of weights.

    ``ConfigError`` for a name that is no C prefix; ``UnsupportedError`` names all that the C code lacks.
    """
    check_program(program)
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"name: found {name!r}, expected lower-case letters, digits and underscores, a letter first,"
            " at most 31"
        )
    _refuse(program, plan)
    queues, arithmetic = plan.options.queues, Arithmetic(name)
    memory = memory_of(program, plan)
    synapses = [
        synapse_of(program, number, memory, plan.options, arithmetic)
        for number in range(len(program.projections))
    ]
    kinds = list(enumerate(program.populations))
    neurons = tuple(
        neurons_of(program, number, memory, queues, synapses)
        for number, population in kinds
        if isinstance(population, NeuronPopulation)
    )
    by_rows = plan.options.order is Order.ROWS
    paired = frozenset(
        s.number
        for s in synapses
        if pairs and by_rows and is_paired(program, program.projections[s.number], s.left)
    )
    return Firmware(
        prefix=name,
        program=program,
        plan=plan,
        memory=memory,
        arrays=arrays_of(program, name, paired),
        synapses=tuple(synapses),
        neurons=neurons,
        gates=tuple(
            gate_of(program, number, memory, queues, arithmetic)
            for number, population in kinds
            if isinstance(population, GatePopulation)
        ),
        input=source_of(program, 0, memory, queues),
        paired=paired,
        arithmetic=arithmetic,
        layers=layers_of(program, neurons, tuple(synapses), paired, arithmetic) if by_rows else (),
    )


def _refuse(program: Program, plan: MemoryPlan) -> None:
    """``UnsupportedError`` naming everything that has no C form, all at once."""
    spec = program.input
    found = []
    if spec.coding not in CODINGS:
        found.append(f"{spec.coding.value} coding")
    if spec.coding is Coding.DIRECT and spec.bits + spec.sample_shift + spec.signed > MOST_FRAME_BITS:
        found.append(f"signed direct input of {spec.bits} bits")
    if plan.options.order is Order.LAYERS:
        found.append(f"the schedule {plan.options.order.value}")
    if plan.options.event_bounds:
        found.append("bounded event queues")
    found += [
        f"{table.encoding} tables" for table in program.tables if not ENCODINGS[table.encoding].executable
    ]
    if not any(p.pre == 0 for p in program.projections) and not any(
        isinstance(p, GatePopulation) and p.source == 0 for p in program.populations
    ):
        found.append("an input that nothing reads")
    if found:
        raise UnsupportedError(f"C code: found {', '.join(found)}, expected none of these")


def sources(firmware: Firmware) -> dict[str, str]:
    """The network's C files by name."""
    context = context_of(firmware)
    templates = {name: f"{name}.j2" for name in NETWORK}
    if firmware.by_rows:
        templates["snn.c"] = "snn_rows.c.j2"
    return {name: render(template, context) for name, template in templates.items()}


def watchers(firmware: Firmware) -> dict[str, str]:
    """The C files by name that let tests see every spike and membrane, on a computer and on a core."""
    context = context_of(firmware)
    return {name: render(f"{name}.j2", context) for name in WATCHERS}


def write_files(files: Mapping[str, str], folder: str | Path) -> None:
    """Write text files into ``folder``, which is made if it is not there; OutputError where it cannot be."""
    where = Path(folder)
    try:
        for parent in {(where / name).parent for name in files}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{where}: found {reason}, expected a folder that can be written") from error
    for name, text in files.items():
        write_whole(where / name, text.encode())


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template's text. Of C files the indentation follows from the braces."""
    text = _environment().get_template(template).render(context)
    if template.endswith((".c.j2", ".h.j2")):
        return tidy(text)
    return text


def tidy(text: str) -> str:
    """C text indented by its braces, without runs of empty lines or empty lines beside a brace."""
    lines: list[str] = []
    depth, verbatim = 0, False
    for line in text.splitlines():
        bare = line.strip()
        if verbatim:
            lines.append(line.rstrip())
        elif bare:
            inner = depth - bare.startswith(("}", "case ", "default:"))
            lines.append(bare if bare.startswith("#") else "    " * inner + bare)
        elif lines and lines[-1] and not lines[-1].endswith("{"):
            lines.append("")
        comment = bare.startswith("/*") and "*/" not in bare
        verbatim = (
            (verbatim and "*/" not in bare and not bare.startswith("#")) or comment or bare.endswith("\\")
        )
        if not comment:
            depth += bare.count("{") - bare.count("}")
    joined = "\n".join(lines).strip() + "\n"
    return re.sub(r"\n+(\n *\})", r"\1", joined)


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("exporter.targets"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        keep_trailing_newline=True,
    )
    found.filters["c_int"] = lambda value: "(-2147483647 - 1)" if value == -(1 << 31) else str(value)
    return found


def context_of(firmware: Firmware) -> dict[str, Any]:
    """What every template may use."""
    program, spec = firmware.program, firmware.program.input
    parts = {p.number: ("neurons", p) for p in firmware.neurons} | {
        g.number: ("gate", g) for g in firmware.gates
    }
    output = program.populations[program.output]
    bits = {t.bits for t in program.tables if _streams_items(t.encoding, t.bits)}
    planes = _plane_bits(firmware)
    return {
        "n": firmware.prefix,
        "N": firmware.prefix.upper(),
        "title": f"Spiking network {firmware.prefix}",
        "firmware": firmware,
        "program": program,
        "spec": spec,
        "memory": firmware.memory,
        "arrays": firmware.arrays,
        "synapses": firmware.synapses,
        "populations": firmware.neurons,
        "gates": firmware.gates,
        "order": [(number, *parts[number]) for number in sorted(parts)],
        "input": firmware.input,
        "inputs": n_neurons(program.populations[0]),
        "outputs": n_neurons(output),
        "output_number": program.output,
        "readout": program.readout.value,
        "classes": [json.dumps(name) for name in program.classes],
        "helpers": list(firmware.arithmetic.helpers.values()),
        "item_bits": sorted(bits),
        "times_3": firmware.arithmetic.times("item", 3) if 3 in bits else "",
        "plane_bits": sorted(planes),
        "by_rows": firmware.by_rows,
        "layers": firmware.layers,
        "clears": bool(firmware.gates or planes or _clears(firmware)),
        "schedule": firmware.plan.options.sentence,
        "unshared": firmware.plan.unshared_bytes,
        "frame_type": firmware.input.member.fields[0].c_type if firmware.input.kind == "frame" else "",
        "input_sentence": _input_sentence(firmware),
    }


def _streams_items(encoding: str, bits: int) -> bool:
    """Whether weights are read as fields of a stream by a function of their own."""
    kept = encoding in ("lists", "gaps", "bitmap", "dense", "diagonal") or encoding.startswith("blocks")
    return kept and bits not in (8, 16)


def _plane_bits(firmware: Firmware) -> set[int]:
    """Widths of payloads that are kept in bit planes: of gates, and of queues that are bit maps."""
    gates = {gate.bits for gate in firmware.gates}
    sources = [s.source for s in firmware.synapses] + [g.source for g in firmware.gates]
    queues = {s.bits for s in sources if s.kind == "planes"}
    own = {firmware.input.bits} if firmware.input.kind == "planes" else set()
    return {bits for bits in gates | queues | own if bits > 1}


def _clears(firmware: Firmware) -> bool:
    events = [m for m in firmware.memory.members if m.role in (Role.EVENTS, Role.FRAMES)]
    return any(m.slots > 1 or m.role is Role.TRAINS for m in firmware.memory.members) or (
        firmware.plan.options.queues is Queues.BITMAPS and any(m.role is Role.EVENTS for m in events)
    )


def _input_sentence(firmware: Firmware) -> str:
    spec = firmware.program.input
    highest = (1 << spec.bits + spec.sample_shift) - 1
    if spec.coding is Coding.EVENTS:
        kind = "events" if spec.bits == 1 else f"events with a payload of 1 to {highest}"
        return f"{kind}, pushed before each step."
    lowest = -highest if spec.signed else 0
    when = "once a sample" if spec.constant else "anew for every step"
    return f"whole numbers from {lowest} to {highest}, {when}."

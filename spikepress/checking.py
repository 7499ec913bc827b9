"""One pass over a model file of any kind against the rules of targets: all findings, none fatal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, SpikepressError
from spikepress.check_rules import RULES, Finding, findings
from spikepress.model_facts import ModelFacts, facts_of_graph, facts_of_program
from spikepress.rundir import RunDirectory, run_directory_of

if TYPE_CHECKING:
    from exporter.graph import Graph
    from spikepress.importing import NirWords

OURS = "spikepress"
ONNX = "onnx"
TARGETS = (OURS, *RULES)
"""For an ONNX file there is one: ``onnx``, what ONNX's own checker and runtime take."""


@dataclass(frozen=True)
class Checked:
    """What was found in one file. ``notes``: what changes on the way but stops nothing."""

    file: Path
    kind: str
    targets: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def passes(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, object]:
        return {
            "file": str(self.file),
            "kind": self.kind,
            "targets": list(self.targets),
            "passes": self.passes,
            "findings": [asdict(one) for one in self.findings],
            "notes": list(self.notes),
        }


def check_model(path: str | Path, *, targets: Sequence[str] = (), words: NirWords | None = None) -> Checked:
    """Checks a NIR or ONNX file, a ``.spk`` or a run directory. ``targets``: ours without any, and ``onnx``
    for an ONNX file. ``words``: what a NIR file leaves open.

    Raises FormatError or DataError for a file that cannot be read at all, ConfigError for an unknown target.
    """
    place = Path(path)
    suffix = "" if place.is_dir() else place.suffix.lower()
    asked = _known(targets, (ONNX,) if suffix == ".onnx" else TARGETS)
    if suffix == ".onnx":
        from spikepress.onnx_check import onnx_findings

        return Checked(place, "onnx", asked, onnx_findings(place), ())
    if suffix == ".nir":
        kind, facts, ours, notes = ("nir", *_of_nir(place, words))
    elif place.is_file():
        kind, facts, ours, notes = ("spk", *_of_program(place))
    else:
        kind, facts, ours, notes = ("run", *_of_run(run_directory_of(place)))
    found = list(ours) if OURS in asked or facts is None else []
    for target in (one for one in asked if one != OURS):
        if facts is not None:
            found += findings(target, facts)
    return Checked(place, kind, asked, tuple(found), notes)


def _known(targets: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The targets that were asked for, each once; the first of ``known`` where none was."""
    for target in targets:
        if target not in known:
            raise ConfigError(f"check --target: found {target!r}, expected one of {', '.join(known)}")
    return tuple(dict.fromkeys(targets)) or known[:1]


Ours = tuple[ModelFacts | None, tuple[Finding, ...], tuple[str, ...]]


def _of_nir(place: Path, words: NirWords | None) -> Ours:
    from exporter.sources.nir import load_nir
    from exporter.sources.nir_survey import survey
    from spikepress.importing import NirWords

    how = (words or NirWords()).conventions()
    said = survey(place, how)
    if said:
        return (
            None,
            tuple(_ours(one, "another node, or other values, in the tool that wrote it") for one in said),
            (),
        )
    graph = load_nir(place, how)
    return facts_of_graph(graph), *_of_graph(graph)


def _of_program(place: Path) -> Ours:
    from runtime import container

    return facts_of_program(container.read(place)), (), ()


def _of_run(run: RunDirectory) -> Ours:
    from exporter import graph_file

    if not run.float_graph.exists():
        return _of_program(run.require(run.program, "spikepress export"))
    graph = graph_file.load(run.float_graph)
    return facts_of_graph(graph), *_of_graph(graph)


def _of_graph(graph: Graph) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What keeps a graph from becoming integers, and leaks that would move on the way."""
    from dataclasses import replace

    from exporter.graph import Neuron
    from exporter.lower import lower
    from exporter.passes import bias_unit, simplify
    from exporter.quantize import quantize
    from exporter.shift_leaks import shift_leaks

    found: list[Finding] = []
    notes: list[str] = []
    for node in graph.nodes:
        if isinstance(node, Neuron):
            try:
                _, changes = shift_leaks(replace(graph, nodes=(node,)))
            except SpikepressError as error:
                found.append(_ours(str(error), "one time constant in each population"))
            else:
                notes += [change.sentence for change in changes]
    if not found:
        try:
            lower(quantize(shift_leaks(bias_unit(simplify(graph)))[0]))
        except SpikepressError as error:
            found.append(_ours(str(error), "what docs/neuron-model.md lists"))
    return tuple(found), tuple(notes)


def _ours(sentence: str, remedy: str) -> Finding:
    """A finding of a sentence in the form "node: found this, expected that"."""
    node, _, rest = sentence.partition(": ")
    found, _, rule = rest.removeprefix("found ").partition(", expected ")
    return Finding(OURS, node, rule or "what a node here can say", found, f"use {remedy}")

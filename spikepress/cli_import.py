"""The command that takes in networks of other tools: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikepress.options import (
    AsJson,
    Comparator,
    Data,
    DataDir,
    Dt,
    Order,
    PayloadBits,
    SpikeReset,
    Steps,
    Timing,
)

if TYPE_CHECKING:
    from exporter.graph import Graph
    from spikepress.ann import AnnImport

STEPS = 100
OF_NIR = "--dt, --reset, --compare, --reset-timing, --synaptic-order or --integration"

IMPORT_EXAMPLE = (
    "Example: spikepress import model.nir --dt 1e-4 --reset subtract --reset-timing next-step -o runs/theirs"
)


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A NIR file; module:function, called for a snnTorch or SpikingJelly network; or an ANN of"
            " ReLU in ONNX, which is balanced on --data."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory to write.")],
    dt: Dt = 1e-4,
    reset: SpikeReset = "value",
    compare: Comparator = ">",
    reset_timing: Timing = "same-step",
    synaptic_order: Order = "new",
    integration: Steps = "euler",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of one sample; default: 100, of an ANN the fewest that do."),
    ] = None,
    readout: Annotated[
        str | None,
        typer.Option(help="count, membrane_last, membrane_max or membrane_sum; default: by the output."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(help="Of a module: one step of input, as 1,28,28; default: by a first linear layer."),
    ] = None,
    bits: Annotated[int, typer.Option(help="Width of the integer weights: 8, 4, 3 or 2.")] = 8,
    trainable: Annotated[
        bool,
        typer.Option(
            "--trainable", help="Write it as a dense trained network, which prune goes on from; needs --data."
        ),
    ] = False,
    coding: Annotated[
        str, typer.Option(help="With --trainable: how its input is coded: events, rate, direct.")
    ] = "events",
    scale: Annotated[
        float | None,
        typer.Option(
            help="Of an ANN or --trainable: what one unit of the data is worth; default: 1 / the largest."
        ),
    ] = None,
    payload_bits: PayloadBits = 1,
    data: Data = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a run directory of another tool's network: integers, .spk and ONNX, and how far they stray."""
    from spikepress.entry import is_function
    from spikepress.importing import NirWords, graph_of, import_model, import_modules

    words, sides = NirWords(dt, reset, compare, reset_timing, synaptic_order, integration), _shape(shape)
    if source.lower().endswith(".onnx"):
        _refuse(source, OF_NIR, words != NirWords())
        _refuse(source, "--shape or --readout", sides is not None or readout is not None)
        ann = _ann(
            source,
            output,
            data,
            n_steps=steps,
            scale=scale,
            payload_bits=payload_bits,
            bits=bits,
            data_dir=data_dir,
        )
        told: dict[str, object] = ann.as_json()
        _tell(told, [*ann.imported.sentences, *ann.sentences, f"Files: {output}"], as_json)
        return
    words = replace(words, payload_bits=payload_bits)
    if trainable:
        graph = graph_of(source, words=words, shape=sides, n_steps=steps or STEPS, readout=readout)
        _go_on(graph, output, data, data_dir, as_json, coding=coding, n_steps=steps, scale=scale, bits=bits)
        return
    _refuse(source, "--scale", scale is not None)
    if is_function(source):
        _refuse(source, OF_NIR, replace(words, payload_bits=1) != NirWords())
        _refuse(source, "--payload-bits", payload_bits != 1)
        found = import_modules(
            source, output, shape=sides, n_steps=steps or STEPS, readout=readout, bits=bits, data=data
        )
    else:
        _refuse(source, "--shape", sides is not None)
        found = import_model(
            source, output, words=words, n_steps=steps or STEPS, readout=readout, bits=bits, data=data
        )
    _tell(found.as_json(), [*found.sentences, f"Files: {found.output}"], as_json)


def _tell(values: Mapping[str, object], sentences: Sequence[str], as_json: bool) -> None:
    typer.echo(json.dumps(values, indent=2) if as_json else "\n".join(sentences))


def _go_on(
    graph: Graph, output: Path, data: str | None, data_dir: Path | None, as_json: bool, **feeding: Any
) -> None:
    from runtime.errors import ConfigError
    from spikepress.trainable import Feeding, make_trainable

    if data is None:
        raise ConfigError("import: found --trainable without --data, expected the data set to go on with")
    if feeding["coding"] == "events":
        feeding["n_steps"] = None
    outcome, leaks = make_trainable(graph, output, Feeding(data, **feeding), data_dir=data_dir)
    _tell(outcome.as_json(), [*(one.sentence for one in leaks), outcome.sentence], as_json)


def _ann(source: str, output: Path, data: str | None, **options: Any) -> AnnImport:
    from runtime.errors import ConfigError
    from spikepress.ann import import_ann

    if data is None:
        raise ConfigError(f"import: found no --data for {source}, expected data to set its thresholds on")
    return import_ann(source, output, data, **options)


def _shape(words: str | None) -> tuple[int, ...] | None:
    from runtime.errors import ConfigError

    if words is None:
        return None
    sides = words.split(",")
    if not all(side.strip().isdigit() and int(side) > 0 for side in sides) or len(sides) > 3:
        raise ConfigError(f"--shape: found {words!r}, expected one to three sides above 0, as 1,28,28")
    return tuple(int(side) for side in sides)


def _refuse(source: str, options: str, given: bool) -> None:
    from runtime.errors import ConfigError

    if given:
        raise ConfigError(f"import: found {options} for {source}, expected none: it says that itself")

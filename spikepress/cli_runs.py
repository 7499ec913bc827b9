"""The commands over many runs: ``sweep`` and ``table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.progress import shown

SWEEP_EXAMPLE = (
    "Example: spikepress sweep digits --set prune.sparsity=0.8,0.9 --set prune.criterion=magnitude,random "
    "--seeds 0..4 --output runs/sweep --jobs 2"
)
TABLE_EXAMPLE = "Example: spikepress table runs/sweep --format latex --against criterion=magnitude"


def sweep(
    config: Annotated[str, typer.Argument(help="A TOML file, or the name of one that is built in.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.name=value,value; may be repeated, all combinations are run."),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0..4 or 0,2,5.")] = "0",
    output: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/sweep"),
    until: Annotated[
        str | None,
        typer.Option(help="Last stage: train, prune, quantize or run; default: the configuration's."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to run on.")] = 1,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where data files lie; default: $SPIKEPRESS_DATA.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a configuration with many settings and seeds; what is done is kept, exit 1 if any run stops."""
    from spikepress.grid import read_seeds, read_values
    from spikepress.sweeping import sweep as run_sweep

    with shown() as notify:
        found = run_sweep(
            config,
            output,
            values=read_values(values or []),
            seeds=read_seeds(seeds),
            until=until,
            jobs=jobs,
            data_dir=data_dir,
            notify=notify,
        )
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else found.sentence)
    raise typer.Exit(0 if found.complete else 1)


def table(
    runs: Annotated[list[Path], typer.Argument(help="Folders of a sweep, or with run directories.")],
    kind: Annotated[str, typer.Option("--format", help="md, csv or latex.")] = "md",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="What to tabulate; may be repeated; default: accuracy and weight_sparsity."),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(help="dense, pruned, pruned-quantized, runtime; default: the last common one."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Row to compare with, by its setting or a part of it: paired by seed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tabulate runs: mean and standard deviation over seeds, their number, paired differences."""
    from spikepress.table_text import check_format
    from spikepress.tables import table as make_table

    check_format(kind)
    chosen = tuple(metric or ("accuracy", "weight_sparsity"))
    found = make_table(runs, metrics=chosen, stage=stage, against=against)
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else found.as_text(kind), nl=as_json)

"""The commands: each reads its options, calls one function, prints, and sets the exit status."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from spikepress.cli_check import CHECK_EXAMPLE, check
from spikepress.cli_conform import CONFORM_EXAMPLE, conform
from spikepress.cli_devices import DEVICES_EXAMPLE, devices
from spikepress.cli_export import EXPORT_EXAMPLE, export
from spikepress.cli_fit import COMPARE_EXAMPLE, FIT_EXAMPLE, compare, fit
from spikepress.cli_import import IMPORT_EXAMPLE, import_
from spikepress.cli_run import RUN_EXAMPLE, run
from spikepress.cli_runs import SWEEP_EXAMPLE, TABLE_EXAMPLE, sweep, table
from spikepress.options import AsJson, Data, DataDir, DeviceFile, Model, Resume, Samples, Seed
from spikepress.progress import shown

if TYPE_CHECKING:
    from spikepress.budget import Budget

app = typer.Typer(
    help="From a trained spiking neural network to a microcontroller: prune, compress, export, run, verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(epilog=SWEEP_EXAMPLE)(sweep)
app.command(epilog=TABLE_EXAMPLE)(table)
app.command(epilog=FIT_EXAMPLE)(fit)
app.command(epilog=COMPARE_EXAMPLE)(compare)
app.command(epilog=DEVICES_EXAMPLE)(devices)
app.command(epilog=EXPORT_EXAMPLE)(export)
app.command(epilog=CHECK_EXAMPLE)(check)
app.command("import", epilog=IMPORT_EXAMPLE)(import_)
app.command(epilog=RUN_EXAMPLE)(run)
app.command(epilog=CONFORM_EXAMPLE)(conform)


def _print_json(values: object) -> None:
    typer.echo(json.dumps(values, indent=2))


@app.command(epilog="Example: spikepress demo --output runs/demo")
def demo(
    output: Annotated[Path, typer.Option(help="Run directory to write.")] = Path("runs/demo"),
    config: Annotated[
        Path | None, typer.Option(help="Configuration; default: digits, which needs no files.")
    ] = None,
    seed: Seed = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train, prune, quantize, export, run, verify and report, on data that ships with a dependency."""
    from spikepress.demonstration import demo as run_demo
    from spikepress.terminal import print_summary

    with shown() as notify:
        summary = run_demo(output, config=config, seed=seed, data_dir=data_dir, notify=notify)
    if as_json:
        _print_json(summary)
    else:
        print_summary(summary, output)
    raise typer.Exit(0 if summary["verified"] else 1)


@app.command(epilog="Example: spikepress train digits --output runs/first")
def train(
    config: Annotated[str, typer.Argument(help="A TOML file, or the name of one that is built in.")],
    output: Annotated[Path, typer.Option(help="Run directory to write.")] = Path("runs/train"),
    seed: Seed = None,
    portable: Annotated[
        str | None, typer.Option(help="nir: train what NIR can say, so that its export loses nothing.")
    ] = None,
    data_dir: DataDir = None,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train a dense network into a run directory."""
    from spikepress.pipeline import train as run_train

    with shown() as notify:
        outcome = run_train(
            config, output, seed=seed, portable=portable, data_dir=data_dir, resume=resume, notify=notify
        )
    _tell(outcome.as_json(), outcome.sentence, as_json)


@app.command(epilog="Example: spikepress prune runs/first --post-training --sparsity 0.97 --bits 3")
def prune(  # noqa: PLR0913, PLR0917 - each is an option of the command
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory with a dense network.")],
    sparsity: Annotated[
        float | None, typer.Option(help="Weight sparsity to reach; default: the configuration's.")
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="What decides which synapses go.")] = None,
    post_training: Annotated[
        bool,
        typer.Option("--post-training", help="Prune and quantize without training; export and verify too."),
    ] = False,
    bits: Annotated[str | None, typer.Option(help="With --post-training: 8, 4, 3, 2 or ternary.")] = None,
    epochs: Annotated[
        int,
        typer.Option(
            min=0, help="With --post-training: train on the masks afterwards, the dense net as teacher."
        ),
    ] = 0,
    most_bytes: Annotated[
        int | None, typer.Option("--bytes", help="With --post-training: most bytes of the stored network.")
    ] = None,
    most_synops: Annotated[
        float | None, typer.Option("--synops", help="With --post-training: most additions per sample.")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Only redraw the curves of the run's pruning log: prune.html.")
    ] = False,
    data_dir: DataDir = None,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Prune the trained network while it goes on learning, then fine-tune it in quantized form."""
    from runtime.errors import ConfigError
    from spikepress.budget import Budget

    budget = Budget(sparsity, most_bytes, most_synops)
    if plot:
        from spikepress.prune_plot import plot as draw

        path = draw(run_dir)
        return _tell({"page": str(path)}, f"{path}: written", as_json)
    if post_training:
        if criterion is not None or resume:
            raise ConfigError("prune --post-training: found --criterion or --resume, expected neither")
        _prune_after_training(run_dir, Wanted(budget, bits, epochs), data_dir, as_json)
    if bits is not None or budget.searches or epochs:
        raise ConfigError(
            "prune: found --bits, --bytes, --synops or --epochs without --post-training, expected both or "
            "neither; [prune] has epochs of its own"
        )
    from spikepress.pipeline import prune as run_prune
    from spikepress.pipeline import quantize as run_quantize

    with shown() as notify:
        pruned = run_prune(
            run_dir, sparsity=sparsity, criterion=criterion, data_dir=data_dir, resume=resume, notify=notify
        )
        quantized = run_quantize(run_dir, data_dir=data_dir, resume=resume, notify=notify)
    _tell(
        {"pruned": pruned.as_json(), "quantized": quantized.as_json()},
        f"{pruned.sentence}\n{quantized.sentence}",
        as_json,
    )


class Wanted(NamedTuple):
    """What post-training pruning was asked for on the command line."""

    budget: Budget
    bits: str | None
    epochs: int


def _prune_after_training(run_dir: Path, wanted: Wanted, data_dir: Path | None, as_json: bool) -> NoReturn:
    """Compress, export, verify; exit 1 where a leg departs."""
    from spikepress.pipeline import compress, export
    from spikepress.terminal import print_verification
    from spikepress.verification import verify as run_verify

    with shown() as notify:
        outcome = compress(
            run_dir,
            budget=wanted.budget,
            bits=wanted.bits,
            epochs=wanted.epochs,
            data_dir=data_dir,
            notify=notify,
        )
        files = export(run_dir)
        result = run_verify(run_dir, data_dir=data_dir, notify=notify)
    size = files["spk"].stat().st_size
    if as_json:
        _print_json({"compressed": outcome.as_json(), "file_bytes": size, "verification": result.as_json()})
    else:
        typer.echo(f"{outcome.sentence}\n{files['spk']}: {size:,} bytes")
        print_verification(result)
    raise typer.Exit(0 if result.exact else 1)


@app.command(epilog="Example: spikepress emulate fw --samples 20")
def emulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder from `export --target c`.")],
    data: Data = None,
    data_dir: DataDir = None,
    samples: Annotated[int, typer.Option(min=1, help="Test samples to run.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Build a firmware folder and run it on an emulated core; exit 1 when any value differs."""
    from spikepress.emulation import emulate as run_emulation

    with shown() as notify:
        result = run_emulation(folder, data=data, data_dir=data_dir, samples=samples, notify=notify)
    _tell(result.as_json(), result.sentence, as_json)
    raise typer.Exit(0 if result.mismatches == 0 else 1)


@app.command(epilog="Example: spikepress simulate rtl --samples 5")
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder from `export --target fpga`.")],
    data: Data = None,
    data_dir: DataDir = None,
    samples: Annotated[int, typer.Option(min=1, help="Test samples to run.")] = 5,
    simulator: Annotated[
        str | None, typer.Option(help="cxxrtl or iverilog; default: the first that is installed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a folder's Verilog clock by clock; exit 1 when any value or the clock formula differs."""
    from spikepress.simulation import simulate as run_simulation

    with shown() as notify:
        result = run_simulation(
            folder, data=data, data_dir=data_dir, samples=samples, simulator=simulator, notify=notify
        )
    _tell(result.as_json(), result.sentence, as_json)
    raise typer.Exit(0 if result.exact else 1)


@app.command(epilog="Example: spikepress synth rtl --seeds 3")
def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder from `export --target fpga`.")],
    seeds: Annotated[int, typer.Option(help="How often to place and route.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Synthesize, place and route a folder's Verilog: cells, blocks of memory, clock, latency."""
    from spikepress.synthesis import synth as run_synth

    with shown() as notify:
        result = run_synth(folder, seeds=seeds, notify=notify)
    _tell(result.as_json(), result.sentence, as_json)


@app.command(epilog="Example: spikepress verify runs/first --legs torch,runtime,onnx --samples 200")
def verify(
    model: Model,
    legs: Annotated[
        str | None,
        typer.Option(
            help="Legs to hold against the reference, comma separated: torch, runtime, onnx; host (C on this"
            " computer), cortex-m0, cortex-m3, cortex-m4, cortex-m33, rv32i, rv32ec (C on an emulated core);"
            " default: torch,runtime,onnx."
        ),
    ] = None,
    data: Data = None,
    data_dir: DataDir = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Test samples to run; validation samples where there are fewer.")
    ] = 200,
    as_json: AsJson = False,
) -> None:
    """Check that every leg gives the same spikes, membranes and predictions; exit 1 when any differs."""
    from spikepress.terminal import print_verification
    from spikepress.verification import verify as run_verify

    names = None if legs is None else tuple(name.strip() for name in legs.split(",") if name.strip())
    with shown() as notify:
        result = run_verify(model, legs=names, data=data, data_dir=data_dir, samples=samples, notify=notify)
    if as_json:
        _print_json(result.as_json())
    else:
        print_verification(result)
    raise typer.Exit(0 if result.exact else 1)


@app.command(epilog="Example: spikepress report runs/first --device stm32f103c8")
def report(  # noqa: PLR0913, PLR0917 - each is an option of the command
    model: Model,
    device: Annotated[
        list[str] | None, typer.Option(help="Judge this device; exit 1 if the network does not fit.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The page to write; default: report.html in the run.")
    ] = None,
    data: Data = None,
    data_dir: DataDir = None,
    samples: Samples = None,
    own: DeviceFile = None,
    neurobench: Annotated[
        bool, typer.Option("--neurobench", help="Also write neurobench.json, figures by its definitions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the network's figures and write one page of pictures that needs no network to read."""
    from spikepress.page import report_json
    from spikepress.reporting import report as make_report
    from spikepress.terminal import print_report

    with shown() as notify:
        page = make_report(
            model,
            devices=device,
            device_file=own,
            output=output,
            data=data,
            data_dir=data_dir,
            samples=samples,
            neurobench=neurobench,
            notify=notify,
        )
    if as_json:
        _print_json(report_json(page))
    else:
        print_report(page)
    raise typer.Exit(0 if device is None or all(verdict.fits for verdict in page.verdicts) else 1)


@app.command(epilog="Example: spikepress info runs/first/model.spk")
def info(model: Model, as_json: AsJson = False) -> None:
    """Show what an artefact is: layers, neurons, encodings, bytes, and how it came about."""
    from spikepress.card import info as read_card
    from spikepress.terminal import print_card

    card = read_card(model)
    if as_json:
        _print_json(card)
    else:
        print_card(card)


@app.command(epilog="Example: spikepress bench runs/first --samples 200")
def bench(
    model: Model,
    data: Data = None,
    data_dir: DataDir = None,
    samples: Annotated[int, typer.Option(min=1, help="Test samples to time, one at a time.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Time the network on this machine beside onnxruntime and torch, in one interleaved run."""
    from spikepress.terminal import print_timings
    from spikepress.timing import bench as run_bench

    with shown() as notify:
        result = run_bench(model, data=data, data_dir=data_dir, samples=samples, notify=notify)
    if as_json:
        _print_json(result.as_json())
    else:
        print_timings(result)


def _tell(values: object, words: str, as_json: bool) -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0":
        # one of several training processes speaks
        return
    if as_json:
        _print_json(values)
    else:
        typer.echo(words)

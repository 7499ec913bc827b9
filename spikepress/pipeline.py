"""The stages of a run as plain functions: train, prune, quantize, export, run.

Each reads what the stage before left in the run directory and leaves its own result there.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, DataError
from spikepress.progress import Notify, silent
from spikepress.run_lock import held
from spikepress.rundir import RunDirectory, run_directory_of
from spikepress.stage import Outcome, Work, accuracy_of, finished, fit, splits_of

if TYPE_CHECKING:
    from runtime.objective import Objective
    from spikepress.budget import Budget
    from spikepress.firmware import FirmwareOptions
    from spikepress.nir_export import NirOptions

TARGETS = ("spk", "onnx")
FIRMWARE = "c"
GATEWARE = "fpga"
NIR = "nir"


def train(
    config: str | Path,
    output: str | Path = "runs/train",
    *,
    seed: int | None = None,
    portable: str | None = None,
    data_dir: Path | None = None,
    resume: bool = False,
    notify: Notify = silent,
) -> Outcome:
    """Trains a dense network into ``output``. ``config`` is a TOML file or a built-in name; ``portable``:
    "nir" for a network that NIR can say.

    Raises ConfigError, DataError or OutputError before anything is trained.
    """
    from spikepress.portable import check_portable
    from spikepress.settings import load_settings, read_settings, start_run
    from spikepress.teaching import teacher_of
    from trainer import build, distributed

    run = RunDirectory(output)
    resumes = resume and run.config.exists()
    settings, text = (load_settings(run), "") if resumes else read_settings(config, seed, portable)
    data = splits_of(settings, data_dir)
    spec = build.input_spec(settings.config.input, data.info)
    classes = data.info.classes
    n_classes = len(classes) or (1 if data.train.y.ndim == 1 else data.train.y.shape[1])
    net = build.build_net(settings.config, spec, n_classes, classes)
    check_portable(settings.config.train.portable, net)
    teacher = teacher_of(settings.config.train, net)
    with held(run, distributed.is_leader()):
        if not resumes:
            # Everything that can be refused has been: only now is anything written.
            if distributed.is_leader():
                start_run(run, settings, text)
            distributed.wait()
        return fit(net, Work(run, "dense", settings.config, data, resumes), (), notify, teacher)


def prune(
    run_dir: str | Path,
    *,
    sparsity: float | None = None,
    criterion: str | None = None,
    data_dir: Path | None = None,
    resume: bool = False,
    notify: Notify = silent,
) -> Outcome:
    """Prunes the dense network of a run while it goes on learning, by the run's ``[prune]`` table."""
    from pruner.callback import Pruning
    from spikepress.settings import load_settings
    from spikepress.teaching import teacher_of
    from trainer import checkpoint, distributed
    from trainer.teacher import Teacher

    run = run_directory_of(run_dir)
    settings = load_settings(run)
    changes = {"sparsity": sparsity, "criterion": criterion}
    rules = replace(settings.prune, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    net = checkpoint.load(run.require(run.checkpoint("dense"), "spikepress train"))
    config = settings.stage(settings.prune_epochs, settings.prune_lr)
    data = splits_of(settings, data_dir)
    dense = Teacher(copy.deepcopy(net).eval(), settings.distill) if settings.distill else None
    teacher = dense or teacher_of(settings.config.train, net)
    with held(run, distributed.is_leader()):
        if not resume:
            run.prune_log.unlink(missing_ok=True)
        distributed.wait()
        pruning = Pruning(rules, run.prune_log, data.validation)
        return fit(net, Work(run, "pruned", config, data, resume), (pruning,), notify, teacher)


def quantize(
    run_dir: str | Path, *, data_dir: Path | None = None, resume: bool = False, notify: Notify = silent
) -> Outcome:
    """Folds batch norms and fine-tunes the pruned (else the dense) network on its integer grid."""
    from spikepress.settings import load_settings
    from spikepress.teaching import teacher_of
    from trainer import checkpoint, distributed
    from trainer.prepare import fold_batch_norm, prepare

    run = run_directory_of(run_dir)
    settings = load_settings(run)
    before = "pruned" if run.checkpoint("pruned").exists() else "dense"
    net = checkpoint.load(run.require(run.checkpoint(before), "spikepress train"))
    widths = settings.quantize
    prepare(fold_batch_norm(net), widths.bits, first=widths.first, last=widths.last)
    config = settings.stage(max(1, widths.epochs), widths.lr)
    work = Work(run, f"{before}-quantized", config, splits_of(settings, data_dir), resume)
    teacher = teacher_of(settings.config.train, net) if widths.epochs else None
    with held(run, distributed.is_leader()):
        if widths.epochs == 0:
            return finished(net, work, time.perf_counter())
        return fit(net, work, (), notify, teacher)


def compress(
    run_dir: str | Path,
    *,
    budget: Budget | None = None,
    bits: str | None = None,
    epochs: int = 0,
    data_dir: Path | None = None,
    notify: Notify = silent,
) -> Outcome:
    """Prunes and quantizes the dense network of a run without training it, by the run's ``[compress]`` table
    with ``bits`` and ``budget`` on top, and then trains it on its masks for ``epochs``. Without these, labels
    are used for the accuracies only."""
    from pruner.ledger import Spent
    from pruner.log import log_compression
    from pruner.post_training import Calibrated
    from spikepress.budget import Budget, check_heard, within
    from spikepress.recovering import Recovery, check_budget, recover
    from spikepress.settings import load_settings
    from trainer import checkpoint

    start = time.perf_counter()
    run = run_directory_of(run_dir)
    settings = load_settings(run)
    budget = budget or Budget()
    wish = settings.compress if bits is None else replace(settings.compress, bits=bits, first=None, last=None)
    if budget.sparsity is not None:
        wish = replace(wish, sparsity=budget.sparsity)
    net = checkpoint.load(run.require(run.checkpoint("dense"), "spikepress train"))
    data = splits_of(settings, data_dir)
    notify("calibrate", 0.0)
    calibrated = Calibrated(net, data.train)
    notify("compress", 0.0)
    done = within(calibrated, wish, budget, data.validation)
    check_heard(done.net, data.validation)
    notify("compress", 1.0)
    if epochs:
        recovery = Recovery(epochs, settings, data, notify)
        done = recover(calibrated, done, wish, recovery)
        check_budget(done, budget, recovery)
    with held(run):
        run.checkpoint("pruned").unlink(missing_ok=True)
        run.checkpoint("pruned").with_suffix(".json").unlink(missing_ok=True)
        outcome = finished(done.net, Work(run, "pruned-quantized", settings.config, data, False), start)
        spent = Spent(calibrated.seconds + done.seconds, calibrated.sample_passes + done.sample_passes)
        log_compression(run.prune_log, calibrated.net, done.net, spent, data.validation)
    return replace(outcome, figures={"sample_passes": spent.sample_passes})


def export(
    model: str | Path,
    *,
    targets: Sequence[str] = TARGETS,
    output: str | Path | None = None,
    objective: str = "flash",
    encoding: str | None = None,
    firmware: FirmwareOptions | None = None,
    nir: NirOptions | None = None,
) -> dict[str, Path]:
    """Writes the quantized network of a run for each target; returns the files, or for C the folder.

    Tables of a ``.spk`` file are stored for fewest bytes (``flash``), least time of an event (``speed``) or
    both (``balanced``), or all in ``encoding``, ``archive`` among them, which is for storage only. The
    graphs that ``verify`` and ``report`` read are written beside them. Target ``c`` wants ``firmware`` and
    takes the tables of the run's ``model.spk`` (made if it is not there), or all in ``encoding``; ``fpga``
    wants it too and has lists of its own. Target ``nir`` is the network before it became integers.
    """
    from runtime.encodings.own import named

    _check_targets(targets, objective, firmware)
    encoding = None if encoding is None else named("export --encoding", encoding)
    others = tuple(target for target in targets if target in TARGETS)
    written: dict[str, Path] = {}
    if others:
        from spikepress.lowering import write_targets

        run = run_directory_of(model)
        where = run if output is None else RunDirectory(output).create()
        written = write_targets(run, others, where, objective=_named(objective), encoding=encoding)
    if NIR in targets:
        from spikepress.nir_export import NirOptions, export_nir

        run = run_directory_of(model)
        where = run if output is None else RunDirectory(output).create()
        written[NIR] = export_nir(run, where, nir or NirOptions())
    if firmware is not None:
        made = GATEWARE if GATEWARE in targets else FIRMWARE
        written[made] = _export_folder(model, output, replace(firmware, layout=encoding), made)
    return written


def _check_targets(targets: Sequence[str], objective: str, firmware: FirmwareOptions | None) -> None:
    known = (*TARGETS, NIR, FIRMWARE, GATEWARE)
    for target in targets:
        if target not in known:
            raise ConfigError(f"export --target: found {target!r}, expected one of {', '.join(known)}")
    folders = [target for target in targets if target in (FIRMWARE, GATEWARE)]
    if bool(folders) != (firmware is not None):
        raise ConfigError("export: found --target c or fpga, or --device, alone, expected both or neither")
    if len(folders) > 1:
        raise ConfigError("export --target: found c and fpga for one device, expected one of them")
    if _named(objective).value != "flash" and firmware is not None:
        raise ConfigError(
            f"export --objective: found {objective!r} for target c, expected --encoding to choose its tables"
        )


def _export_folder(
    model: str | Path, output: str | Path | None, options: FirmwareOptions, target: str
) -> Path:
    from spikepress.firmware import export_firmware
    from spikepress.gateware import export_gateware
    from spikepress.lowering import write_targets

    run = run_directory_of(model)
    if Path(model).is_dir() and not run.program.exists():
        write_targets(run, ("spk",), run)
    if target == GATEWARE:
        return export_gateware(model, run.path / "gateware" if output is None else output, options)
    return export_firmware(model, run.path / "firmware" if output is None else output, options)


def _named(objective: str) -> Objective:
    from runtime.objective import Objective

    known = [one.value for one in Objective]
    if objective not in known:
        raise ConfigError(f"export --objective: found {objective!r}, expected one of {', '.join(known)}")
    return Objective(objective)


def run(
    model: str | Path, *, data: str | None = None, data_dir: Path | None = None, samples: int | None = None
) -> Outcome:
    """Runs the exported network on test samples with the accumulate-only engine and counts its work."""
    from runtime import container
    from runtime.coding import encode_input
    from runtime.engine import Engine
    from spikepress.card import program_path, weight_sparsity
    from spikepress.samples import samples_of_test

    path = program_path(model)
    program = container.read(path)
    test = samples_of_test(RunDirectory(path.parent), data, data_dir)
    x, y = test.x[:samples], test.y[:samples]
    if len(x) == 0:
        raise DataError("run: found no samples, expected at least one")
    coded = encode_input(x, program.input)
    engine = Engine(program)
    start = time.perf_counter()
    result = engine.run(coded)
    seconds = time.perf_counter() - start
    names = ("effective_acs", "input_adds", "executed_adds", "dense_synops", "fanout_synops", "spikes")
    figures = {name: getattr(result.counts, name) / len(x) for name in names}
    accuracy = accuracy_of(result.predictions, y)
    return Outcome("runtime", accuracy, None, weight_sparsity(program), seconds, len(x), figures)

"""The configuration of a run: found by name or path, copied into the run directory with its seed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from exporter.files import write_whole
from pruner.compression import Compression
from pruner.config import PruneConfig
from runtime.errors import ConfigError
from spikepress.rundir import RunDirectory
from trainer import config as trainer_config
from trainer.config import Config, QuantizeConfig
from trainer.tables import read_value, require

STAGE_KEYS = ("epochs", "lr", "distill")
"""Keys of ``[prune]`` that say how the pruning stage trains; all others are the pruner's."""


@dataclass(frozen=True)
class Settings:
    """A run's configuration with the parts that stages ask for already typed."""

    config: Config
    prune: PruneConfig = field(default_factory=PruneConfig)
    prune_epochs: int = 10
    prune_lr: float = 2e-3
    distill: float = 0.0
    """Share of the loss that is the dense network's word while it is pruned (``trainer.teacher``)."""
    compress: Compression = field(default_factory=Compression)
    """Post-training pruning; without widths of its own it takes those of ``[quantize]``."""

    @property
    def quantize(self) -> QuantizeConfig:
        return self.config.quantize or QuantizeConfig()

    def stage(self, epochs: int, lr: float) -> Config:
        """The training configuration of a later stage: other epochs and learning rate."""
        return replace(self.config, train=replace(self.config.train, epochs=epochs, lr=lr))


def built_in_configs() -> tuple[str, ...]:
    """Names of the configurations that ship with the package."""
    folder = files("spikepress").joinpath("configs")
    if not folder.is_dir():
        return ()
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def config_text(config: str | Path) -> tuple[str, Path]:
    """Text of a configuration and the folder its relative paths start from. ``config`` is a file or the
    name of a built-in one; ConfigError when it is neither."""
    path = Path(config)
    if path.is_file():
        return path.read_text(encoding="utf-8"), path.parent
    if str(config) in built_in_configs():
        resource = files("spikepress").joinpath("configs", f"{config}.toml")
        return resource.read_text(encoding="utf-8"), Path()
    known = ", ".join(built_in_configs())
    raise ConfigError(f"config {config}: found no such file, expected a TOML file or one of {known}")


def parse_settings(text: str, folder: Path, name: str) -> Settings:
    """Settings in a TOML text; ConfigError for anything it may not say."""
    config = trainer_config.parse(text, folder, name)
    table = dict(config.prune or {})
    own = {key: table.pop(key) for key in STAGE_KEYS if key in table}
    return Settings(
        config,
        PruneConfig.from_table(table),
        int(read_value(int, own.get("epochs", config.train.epochs), "prune.epochs")),
        float(read_value(float, own.get("lr", config.train.lr), "prune.lr")),
        _share(float(read_value(float, own.get("distill", 0.0), "prune.distill"))),
        _compression(config),
    )


def _share(value: float) -> float:
    require(0.0 <= value <= 1.0, "prune.distill", value, "0 to 1")
    return value


def _compression(config: Config) -> Compression:
    wish = Compression.from_table(config.compress or {})
    if wish.bits is not None:
        return wish
    widths = config.quantize or QuantizeConfig()
    return replace(wish, bits=widths.bits, first=wish.first or widths.first, last=wish.last or widths.last)


def load_settings(run: RunDirectory) -> Settings:
    """The settings a run was started with."""
    path = run.require(run.config, "spikepress train")
    return parse_settings(path.read_text(encoding="utf-8"), run.path, str(path))


def read_settings(
    config: str | Path, seed: int | None = None, portable: str | None = None
) -> tuple[Settings, str]:
    """A configuration's settings, and its text with ``seed`` and ``portable`` written in; ConfigError."""
    text, folder = config_text(config)
    if seed is not None:
        text = with_seed(text, seed)
    if portable is not None:
        text = with_value(text, "train", "portable", json.dumps(portable))
    return parse_settings(text, folder, str(config)), text


def start_run(run: RunDirectory, settings: Settings, text: str) -> None:
    """Makes the run directory, cleared of an earlier run, and copies the configuration there.

    A user's module is copied too, so that the run can be taken up from anywhere.
    """
    run.create().clear()
    write_whole(run.config, text.encode())
    if settings.config.model is not None:
        _copy_module(settings.config.folder / settings.config.model.module.partition(":")[0], run)


def _copy_module(source: Path, run: RunDirectory) -> None:
    if not source.is_file():
        raise ConfigError(f"model.module: found no file {source}, expected 'file.py:function'")
    target = run.path / source.name
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)


def with_seed(text: str, seed: int) -> str:
    """The TOML text with ``train.seed`` set."""
    return with_value(text, "train", "seed", str(seed))


def with_value(text: str, section: str, name: str, value: str) -> str:
    """The TOML text with ``name`` of table ``section`` set to ``value``, written as TOML."""
    heading = re.escape(section)
    found = re.search(rf"^\[{heading}\][^\n]*\n?(?P<body>(?:(?!^\[).*\n?)*)", text, re.MULTILINE)
    if found is None:
        return f"{text.rstrip()}\n\n[{section}]\n{name} = {value}\n"
    body = re.sub(rf"^{re.escape(name)}\s*=.*\n?", "", found["body"], flags=re.MULTILINE)
    heading = text[: found.start("body")].removesuffix("\n")
    return f"{heading}\n{name} = {value}\n{body}{text[found.end('body') :]}"


def options_of(settings: Settings) -> Mapping[str, object]:
    """What describes a run in its artefacts: free text, no times, so that files stay reproducible."""
    config = settings.config
    return {
        "dataset": config.data.name,
        "seed": config.train.seed,
        "bits": settings.quantize.bits,
        "prune_criterion": settings.prune.criterion,
        "prune_sparsity": settings.prune.sparsity,
    }

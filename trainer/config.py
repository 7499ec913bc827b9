"""``Config``: what a TOML file says about data, input, layers, training and quantization."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from runtime.errors import ConfigError
from runtime.spec import Coding, Readout
from trainer.blueprint import read_layers
from trainer.networks import NetworkConfig
from trainer.portable import PORTABLE, said_in
from trainer.tables import read_table, read_value, require, shown


class Schedule(Enum):
    """Course of the learning rate."""

    COSINE = "cosine"
    CONSTANT = "constant"


class OptimizerKind(Enum):
    ADAM = "adam"
    SGD = "sgd"


class Precision(Enum):
    """Numbers that layers compute in; neurons and the loss always compute in float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class LossKind(Enum):
    """What training lowers: cross-entropy of the readout's scores or of every step's output, squared
    error of rates, squared error of scores against real targets."""

    CROSS_ENTROPY = "cross_entropy"
    PER_STEP = "per_step"
    MSE_RATE = "mse_rate"
    REGRESSION = "regression"


class Keep(Enum):
    """Which weights training leaves: those of the last epoch or of the best validation."""

    LAST = "last"
    BEST = "best"


@dataclass(frozen=True)
class DataConfig:
    """``[data]``: the data set's name; every other key is an option of that set."""

    name: str = "digits"
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class InputConfig:
    """``[input]``. None stands for what the data set says about itself."""

    coding: Coding = Coding.DIRECT
    n_steps: int | None = None
    shape: tuple[int, ...] | None = None
    """Shape of one step, when the sample is to be seen in another one of the same size."""
    bits: int | None = None
    scale: float | None = None
    """Real value of one unit; None: direct input spans -1..1, events count as 1."""
    delta: int = 1
    seed: int = 1
    step_us: int | None = None
    """Microseconds of a step; 1000 where the data set does not say."""

    def __post_init__(self) -> None:
        require(self.n_steps is None or self.n_steps >= 1, "input.n_steps", self.n_steps, "at least 1")
        require(self.bits is None or 1 <= self.bits <= 16, "input.bits", self.bits, "1 to 16")
        require(self.scale is None or self.scale > 0, "input.scale", self.scale, "a number above 0")
        require(self.delta >= 1, "input.delta", self.delta, "at least 1")
        require(self.step_us is None or self.step_us >= 1, "input.step_us", self.step_us, "at least 1")


@dataclass(frozen=True)
class ModelConfig:
    """``[model]``: a user's own module, "file.py:function", called with (input shape, number of classes)."""

    module: str


@dataclass(frozen=True)
class TrainConfig:
    """``[train]``."""

    epochs: int = 10
    batch_size: int = 128
    lr: float = 2e-3
    schedule: Schedule = Schedule.COSINE
    optimizer: OptimizerKind = OptimizerKind.ADAM
    weight_decay: float = 0.0
    momentum: float = 0.9
    leak_lr_factor: float = 10.0
    """Learned shifts train at this multiple of ``lr``: they must cross halves to change anything."""
    gradient_clip: float = 0.0
    """Largest norm of the gradient; 0 clips nothing."""
    loss: LossKind = LossKind.CROSS_ENTROPY
    temperature: float = 0.0
    """Scores are divided by it before the softmax; 0 chooses it by the readout."""
    label_smoothing: float = 0.0
    teacher: str = ""
    """A run directory, seen from where the command runs, whose trained network's scores are learned too."""
    teacher_share: float = 0.5
    """Share of the loss that is the teacher's word."""
    class_weights: tuple[float, ...] = ()
    balanced: bool = False
    """Weigh classes by the inverse of their frequency in the training samples."""
    readout: Readout = Readout.COUNT
    keep: Keep = Keep.LAST
    activity_penalty: float = 0.0
    """Strength of the synaptic operations per sample, as a share of the dense count, in the loss."""
    shift_pixels: int = 0
    """Augmentation: whole-pixel shifts of images by up to this many rows and columns."""
    flip: bool = False
    """Augmentation: every second image, by chance, left and right exchanged."""
    rotate_degrees: float = 0.0
    """Augmentation: images turned by up to this."""
    stretch: float = 0.0
    """Augmentation: each axis of images stretched by up to 1 ± this."""
    shear: float = 0.0
    """Augmentation: rows of images sheared by up to this many pixels a row."""
    shift_steps: int = 0
    """Augmentation: shifts of sequences by up to this many steps."""
    amplitude_jitter: float = 0.0
    """Augmentation: samples times 1 ± this."""
    portable: str = ""
    """"nir": neurons that NIR can say, where a layer leaves it open; what it cannot say is refused."""
    seed: int = 0
    threads: int = 0
    """Of torch; 0 leaves what is set."""
    precision: Precision = Precision.FLOAT32
    device: str = "cpu"
    """Where training computes, in torch's words; evaluation in integers is always on the CPU."""

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size"):
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "at least 1")
        require(self.lr > 0, "train.lr", self.lr, "a number above 0")
        require(0 <= self.momentum < 1, "train.momentum", self.momentum, "0 to below 1")
        require(0 <= self.label_smoothing < 1, "train.label_smoothing", self.label_smoothing, "0 to below 1")
        require(
            0 <= self.amplitude_jitter < 1, "train.amplitude_jitter", self.amplitude_jitter, "0 to below 1"
        )
        require(
            self.portable in ("", *PORTABLE), "train.portable", self.portable, f"one of {', '.join(PORTABLE)}"
        )
        share = self.teacher_share
        require(0 <= share <= 1, "train.teacher_share", share, "0 to 1")
        for key in ("stretch", "shear"):
            require(0 <= getattr(self, key) < 1, f"train.{key}", getattr(self, key), "0 to below 1")
        turned = self.rotate_degrees
        require(0 <= turned <= 180, "train.rotate_degrees", turned, "0 to 180")
        for key in ("weight_decay", "gradient_clip", "temperature", "activity_penalty", "leak_lr_factor"):
            require(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 or more")
        for key in ("shift_pixels", "shift_steps", "threads", "seed"):
            require(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 or more")
        require(
            min(self.class_weights, default=0) >= 0, "train.class_weights", self.class_weights, "0 or more"
        )
        require(
            not (self.balanced and self.class_weights), "train.balanced", True, "no class_weights beside it"
        )


WIDTHS = ("8", "4", "3", "2", "ternary")


@dataclass(frozen=True)
class QuantizeConfig:
    """``[quantize]``: widths "8", "4", "3", "2" or "ternary", and the fine-tuning at that width."""

    bits: str = "8"
    first: str | None = None
    """Width of the layers that hear the input; None: ``bits``."""
    last: str | None = None
    """Width of the layers that feed the output; None: ``bits``."""
    epochs: int = 2
    lr: float = 5e-4

    def __post_init__(self) -> None:
        for key in ("bits", "first", "last"):
            value = getattr(self, key)
            require(value is None or value in WIDTHS, f"quantize.{key}", value, f"one of {', '.join(WIDTHS)}")
        require(self.epochs >= 0, "quantize.epochs", self.epochs, "0 or more")
        require(self.lr > 0, "quantize.lr", self.lr, "a number above 0")


@dataclass(frozen=True)
class Config:
    """One run. ``layers`` (or ``[network]``, by name) or ``model`` says the network; ``prune`` and
    ``export`` belong to those packages and are kept as they came. ``folder`` is where a
    user's module is looked for."""

    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    layers: tuple[Mapping[str, object], ...] = ()
    model: ModelConfig | None = None
    train: TrainConfig = TrainConfig()
    quantize: QuantizeConfig | None = None
    prune: Mapping[str, object] | None = None
    compress: Mapping[str, object] | None = None
    export: Mapping[str, object] | None = None
    folder: Path = Path()

    def __post_init__(self) -> None:
        if bool(self.layers) == (self.model is not None):
            found = "both layers and model" if self.layers else "neither layers nor model"
            raise ConfigError(f"config: found {found}, expected [[layers]] or [model] to say the network")


SECTIONS = ("data", "input", "layers", "network", "model", "train", "quantize", "prune", "compress", "export")


def load(path: Path | str) -> Config:
    """The configuration in a TOML file.

    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown or a value cannot be used.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path}: found {error}, expected a readable TOML file") from error
    return parse(text, path.parent, str(path))


def parse(text: str, folder: Path = Path(), name: str = "config") -> Config:
    """The configuration in a TOML text; see ``load``."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: found text that is not TOML ({error}), expected TOML") from error
    return from_tables(tables, folder)


def from_tables(tables: Mapping[str, object], folder: Path = Path()) -> Config:
    """The configuration in parsed tables; see ``load``."""
    for key in tables:
        if key not in SECTIONS:
            raise ConfigError(f"{key}: found an unknown section, expected one of {', '.join(SECTIONS)}")
    data = dict(_table(tables, "data"))
    name = read_value(str, data.pop("name", DataConfig.name), "data.name")
    train = read_table(TrainConfig, _table(tables, "train"), "train")
    layers = said_in(train.portable, _layers(tables))
    return Config(
        data=DataConfig(name, data),
        input=read_table(InputConfig, _table(tables, "input"), "input"),
        layers=layers,
        model=read_table(ModelConfig, tables["model"], "model") if "model" in tables else None,
        train=train,
        quantize=read_table(QuantizeConfig, tables["quantize"], "quantize") if "quantize" in tables else None,
        prune=_table(tables, "prune") if "prune" in tables else None,
        compress=_table(tables, "compress") if "compress" in tables else None,
        export=_table(tables, "export") if "export" in tables else None,
        folder=folder,
    )


def _layers(tables: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    """The layer tables, or those of the network that is named."""
    layers = tables.get("layers", [])
    if not isinstance(layers, list):
        raise ConfigError(f"layers: found {shown(layers)}, expected [[layers]] tables")
    if "network" in tables:
        if layers:
            raise ConfigError("network: found [[layers]] beside it, expected one of them")
        layers = list(read_table(NetworkConfig, tables["network"], "network").layers())
    read_layers(layers, "layers")
    return tuple(layers)


def _table(tables: Mapping[str, object], key: str) -> Mapping[str, object]:
    table = tables.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{key}: found {shown(table)}, expected a table")
    return table

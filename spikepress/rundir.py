"""The run directory: where each stage of the chain leaves its result."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from exporter.files import write_whole
from runtime.errors import DataError, OutputError

STAGES = ("dense", "pruned", "pruned-quantized", "dense-quantized")
QUANTIZED_STAGES = ("pruned-quantized", "dense-quantized")


class RunDirectory:
    """The files of one run, by name. Making one touches nothing on disk; ``create`` does."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def prune_log(self) -> Path:
        """One line a pruning event, with stored bytes by layer."""
        return self.path / "prune.jsonl"

    @property
    def program(self) -> Path:
        return self.path / "model.spk"

    @property
    def onnx(self) -> Path:
        return self.path / "model.onnx"

    @property
    def step_onnx(self) -> Path:
        """The network one step at a time, its states in and out."""
        return self.path / "model-step.onnx"

    @property
    def float_onnx(self) -> Path:
        """The network before it became integers, in float32."""
        return self.path / "model-float.onnx"

    @property
    def traced_onnx(self) -> Path:
        """The ONNX model's twin that also emits every spike and membrane: what ``verify`` runs."""
        return self.path / "model-traced.onnx"

    @property
    def nir(self) -> Path:
        return self.path / "model.nir"

    @property
    def nir_loss(self) -> Path:
        """What a reader of ``model.nir`` loses that takes NIR at its word."""
        return self.path / "model-nir.json"

    @property
    def imported(self) -> Path:
        """How the network of another tool became integers."""
        return self.path / "import.json"

    @property
    def graph(self) -> Path:
        return self.path / "graph.npz"

    @property
    def whole_graph(self) -> Path:
        """The integer graph before neurons that never fire or are never heard were dropped."""
        return self.path / "graph-whole.npz"

    @property
    def float_graph(self) -> Path:
        """The same network before its neurons became integers: what drift is measured against."""
        return self.path / "graph-float.npz"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def stages(self) -> Path:
        """Outcome of each training stage."""
        return self.path / "stages.json"

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @property
    def fit(self) -> Path:
        """What a search for a smaller model found: in the folder of the model it wrote."""
        return self.path / "fit.json"

    @property
    def fits(self) -> Path:
        """Folders of the models that were fitted to devices, by the device's name."""
        return self.path / "fit"

    @property
    def models(self) -> Path:
        """Figures of every model that a search made of this run's network, by their content."""
        return self.fits / ".models"

    def checkpoint(self, stage: str) -> Path:
        """``stage``: dense, dense-quantized, pruned or pruned-quantized."""
        return self.path / f"{stage}.safetensors"

    def clear(self) -> None:
        """Removes what an earlier run left here, so that no stage takes up another network's files. Only
        files that a run writes are touched."""
        for stage in STAGES:
            for name in (stage, f"{stage}-last", f"{stage}-best"):
                self.checkpoint(name).unlink(missing_ok=True)
                self.checkpoint(name).with_suffix(".json").unlink(missing_ok=True)
        written = [
            self.program,
            self.onnx,
            self.step_onnx,
            self.float_onnx,
            self.traced_onnx,
            self.graph,
            self.whole_graph,
            self.float_graph,
        ]
        written += [self.nir, self.nir_loss, self.imported]
        for file in (*written, self.log, self.prune_log, self.stages, self.summary, self.page, self.fit):
            file.unlink(missing_ok=True)

    @property
    def is_quantized(self) -> bool:
        return any(self.checkpoint(stage).exists() for stage in QUANTIZED_STAGES)

    @property
    def is_imported(self) -> bool:
        """Whether the network came from a file of another tool: there is no checkpoint then."""
        return not self.is_quantized and self.imported.exists()

    def quantized_checkpoint(self) -> Path:
        """The checkpoint that is exported: the pruned one where there is one. DataError without any."""
        found = [path for path in map(self.checkpoint, QUANTIZED_STAGES) if path.exists()]
        return found[0] if found else self.require(self.checkpoint(QUANTIZED_STAGES[0]), "spikepress prune")

    def require(self, file: Path, made_by: str) -> Path:
        """The file, or a DataError that says which command makes it."""
        if not file.exists():
            raise DataError(f"run directory {self.path}: found no {file.name}, expected it from `{made_by}`")
        return file

    def create(self) -> RunDirectory:
        """Makes the directory and proves that it can be written; OutputError otherwise."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise OutputError(
                f"output folder {self.path}: found {error.strerror or error}, expected a writable folder"
            ) from error
        return self


def run_directory_of(path: str | Path) -> RunDirectory:
    """The run directory that a path names: itself, or the folder of one of its files."""
    given = Path(path)
    if given.is_dir():
        return RunDirectory(given)
    if given.exists():
        return RunDirectory(given.parent)
    raise DataError(f"model {given}: found no such file or folder, expected a run directory or a .spk file")


def write_json(path: Path, values: Mapping[str, object]) -> None:
    write_whole(path, (json.dumps(values, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, object]:
    """The object in a JSON file; DataError if it is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"file {path}: found {error}, expected a JSON object") from error
    if not isinstance(values, dict):
        raise DataError(f"file {path}: found a {type(values).__name__}, expected a JSON object")
    return cast(dict[str, object], values)


def read_log(path: Path) -> list[dict[str, object]]:
    """The lines of a training log, oldest first; no file is an empty log."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]

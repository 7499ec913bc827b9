"""Who may import whom: walks every syntax tree and holds it against one table."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("runtime", "exporter", "trainer", "pruner", "spikepress")
STDLIB = set(sys.stdlib_module_names)

# Longest matching prefix decides. Names are modules or whole packages; the standard library always goes.
TABLE = {
    "runtime.spec": set(),
    "runtime.errors": set(),
    "runtime.kernels": {"numba", "numpy"},
    "runtime.kernels.fused": {"numba", "numpy", "runtime.kernels.fused"},
    "runtime.kernels.lanes": {"numba", "numpy", "runtime.kernels.lanes"},
    "runtime": {"numpy", "numba", "runtime"},
    "trainer": {
        "numpy",
        "torch",
        "safetensors",
        "trainer",
        "runtime.spec",
        "runtime.errors",
        "runtime.plugins",
    },
    "trainer.datasets": {
        "numpy",
        "torch",
        "sklearn",
        "trainer",
        "runtime.spec",
        "runtime.errors",
        "runtime.plugins",
    },
    "trainer.datasets.events_hdf5": {"h5py", "trainer", "runtime.errors", "runtime.rehearsal"},
    "pruner": {
        "numpy",
        "torch",
        "safetensors",
        "pruner",
        "trainer",
        "runtime.spec",
        "runtime.errors",
        "runtime.plugins",
        "runtime.encodings",
        "runtime.cost",
    },
    "exporter": {"numpy", "exporter", "runtime"},
    "exporter.sources": {"numpy", "exporter", "runtime"},
    "exporter.sources.modules": {"numpy", "exporter", "runtime", "torch"},
    "exporter.sources.snntorch": {"numpy", "exporter", "runtime", "torch"},
    "exporter.sources.spikingjelly": {"exporter", "runtime", "torch"},
    "exporter.sources.onnx_ann": {"numpy", "exporter", "runtime", "onnx"},
    "exporter.sources.nir": {"numpy", "exporter", "runtime", "nir"},
    "exporter.sources.nir_file": {"numpy", "nir", "h5py", "exporter", "runtime"},
    "exporter.sources.nir_survey": {"exporter", "runtime", "nir"},
    "exporter.sources.nir_merge": {"numpy", "exporter", "runtime", "nir"},
    "exporter.sources.nir_net": {"numpy", "exporter", "runtime", "nir"},
    "exporter.sources.nir_neurons": {"numpy", "exporter", "runtime", "nir"},
    "exporter.sources.torch": {"numpy", "exporter", "runtime", "torch", "trainer"},
    "exporter.targets": {"numpy", "exporter", "runtime", "onnx", "jinja2", "nir"},
    "spikepress": {
        "numpy",
        "numba",
        "torch",
        "safetensors",
        "sklearn",
        "onnx",
        "onnxruntime",
        "jinja2",
        "joblib",
        "typer",
        "rich",
        *PACKAGES,
    },
    "spikepress.tools": {"numpy", "unicorn", *PACKAGES},
}


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def allowed_for(module):
    prefix = max((p for p in TABLE if covers(p, module)), key=len)
    return TABLE[prefix]


def covers(prefix, module):
    return module == prefix or module.startswith(prefix + ".")


def imported_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from runtime import spec` means runtime.spec: the longer name is the one judged.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from names if node.module in PACKAGES else (node.module,)


def refused(module, source):
    allowed = allowed_for(module)
    for name in imported_names(ast.parse(source)):
        if name.split(".")[0] not in STDLIB and not any(covers(entry, name) for entry in allowed):
            yield name


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_the_table_allows(module):
    assert list(refused(module, MODULES[module].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("runtime.engine", "import torch", ["torch"]),
        ("runtime.kernels.rows", "from runtime.spec import Leak", ["runtime.spec"]),
        ("runtime.spec", "import numpy as np", ["numpy"]),
        ("trainer.loop", "from runtime.engine import Engine", ["runtime.engine"]),
        ("trainer.loop", "from runtime import engine", ["runtime.engine"]),
        ("exporter.plan", "import onnx", ["onnx"]),
        ("exporter.targets.onnx", "import torch", ["torch"]),
        ("spikepress.cli", "import benchmarks", ["benchmarks"]),
        ("pruner.mask", "from exporter.graph import Graph", ["exporter.graph"]),
        ("exporter.sources.torch", "from trainer.layers import Linear", []),
        ("exporter.targets.onnx", "from onnx import helper", []),
    ],
)
def test_the_table_catches_a_planted_import(module, line, found):
    assert list(refused(module, line)) == found


def loaded_by(statement):
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_runtime_loads_neither_torch_nor_onnx():
    assert not loaded_by("import runtime, runtime.engine") & {"torch", "onnx", "onnxruntime", "trainer"}


def test_importing_the_front_door_loads_nothing_heavy():
    heavy = {"torch", "onnx", "onnxruntime", "numba", "numpy", "jinja2", "sklearn"}
    assert not loaded_by("import spikepress, spikepress.__main__, spikepress.cli") & heavy

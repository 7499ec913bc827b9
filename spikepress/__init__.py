"""spikepress: from a trained spiking neural network to a microcontroller or an FPGA.

Every command is also a function here: ``import spikepress as sp; sp.verify("runs/demo")``. Nothing heavy
is loaded until a function is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.errors import SpikepressError
    from spikepress.ann import AnnImport, import_ann
    from spikepress.card import info
    from spikepress.catalog import Device, Verdict, devices
    from spikepress.checking import Checked, check_model
    from spikepress.conforming import Conformity, conform
    from spikepress.demonstration import demo
    from spikepress.emulation import Emulation, emulate
    from spikepress.exactness import LayerActivity, LegResult, Place
    from spikepress.firmware import FirmwareOptions
    from spikepress.importing import Imported, import_model, import_modules
    from spikepress.page import Report
    from spikepress.pipeline import export, prune, quantize, run, train
    from spikepress.reporting import report
    from spikepress.simulation import Simulation, simulate
    from spikepress.stage import Outcome
    from spikepress.sweeping import Sweep, SweptRun, sweep
    from spikepress.synthesis import Synthesis, synth
    from spikepress.tables import Table, table
    from spikepress.timing import Timing, bench
    from spikepress.verification import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "AnnImport",
    "Checked",
    "Comparison",
    "Conformity",
    "Device",
    "Emulation",
    "FirmwareOptions",
    "FitResult",
    "Imported",
    "LayerActivity",
    "LegResult",
    "Limits",
    "Outcome",
    "Place",
    "Report",
    "Simulation",
    "SpikepressError",
    "Sweep",
    "SweptRun",
    "Synthesis",
    "Table",
    "Timing",
    "Verdict",
    "Verification",
    "bench",
    "check_model",
    "compare",
    "conform",
    "demo",
    "devices",
    "emulate",
    "export",
    "fit",
    "import_ann",
    "import_model",
    "import_modules",
    "info",
    "prune",
    "quantize",
    "report",
    "run",
    "simulate",
    "sweep",
    "synth",
    "table",
    "train",
    "verify",
]

_HOMES = {
    "AnnImport": "spikepress.ann",
    "import_ann": "spikepress.ann",
    "Conformity": "spikepress.conforming",
    "conform": "spikepress.conforming",
    "SpikepressError": "runtime.errors",
    "info": "spikepress.card",
    "Device": "spikepress.catalog",
    "Verdict": "spikepress.catalog",
    "devices": "spikepress.catalog",
    "Checked": "spikepress.checking",
    "check_model": "spikepress.checking",
    "demo": "spikepress.demonstration",
    "Emulation": "spikepress.emulation",
    "emulate": "spikepress.emulation",
    "FirmwareOptions": "spikepress.firmware",
    "Comparison": "spikepress.comparing",
    "compare": "spikepress.comparing",
    "FitResult": "spikepress.fit_result",
    "Limits": "spikepress.fitting",
    "fit": "spikepress.fitting",
    "Imported": "spikepress.importing",
    "import_model": "spikepress.importing",
    "import_modules": "spikepress.importing",
    "LayerActivity": "spikepress.exactness",
    "LegResult": "spikepress.exactness",
    "Place": "spikepress.exactness",
    "Report": "spikepress.page",
    "Outcome": "spikepress.stage",
    "export": "spikepress.pipeline",
    "prune": "spikepress.pipeline",
    "quantize": "spikepress.pipeline",
    "run": "spikepress.pipeline",
    "train": "spikepress.pipeline",
    "report": "spikepress.reporting",
    "Sweep": "spikepress.sweeping",
    "SweptRun": "spikepress.sweeping",
    "Simulation": "spikepress.simulation",
    "simulate": "spikepress.simulation",
    "sweep": "spikepress.sweeping",
    "Synthesis": "spikepress.synthesis",
    "synth": "spikepress.synthesis",
    "Table": "spikepress.tables",
    "table": "spikepress.tables",
    "Timing": "spikepress.timing",
    "bench": "spikepress.timing",
    "Verification": "spikepress.verification",
    "verify": "spikepress.verification",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'spikepress' has no attribute {name!r}")
    from spikepress.shadow import shadowed

    sentence = shadowed()
    if sentence is not None:
        raise ImportError(sentence)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

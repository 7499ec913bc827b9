"""The five defects of ``defects`` planted in the generated C of one leg, before the compiler sees it."""

import re
from dataclasses import replace

import numpy as np

import spikepress.tools.cross
import spikepress.tools.host
from exporter.plan import plan
from exporter.targets.c_source import describe, sources
from runtime import container
from runtime.encodings import decode, encode
from tests.spikepress.defects import wrong_weight

C_LEGS = ("host", "cortex-m0", "rv32i")

EDITS = {
    "leak rounding": (r"old - \(old >> (\d+)\)", lambda found: f"old - (old / {1 << int(found[1])})", 1),
    "comparator": (r"if \(u >= ", "if (u > ", 0),
    "reset": (r"u -= [^;]+;", "u = 0;", 1),
    "neuron order": (r"acc\[column\]", "acc[column ^ 1u]", 1),
}
"""What is replaced by what in snn.c, and how often; 0: everywhere, since ties, which show a comparator, are
rare."""


def wrong_sources(run, files, defect):
    """The network's C files with the defect."""
    if defect == "single weight":
        return files | sources(wrong_program(run))
    pattern, instead, count = EDITS[defect]
    changed = re.sub(pattern, instead, files["snn.c"], count=count)
    assert changed != files["snn.c"]
    return files | {"snn.c": changed}


def wrong_program(run):
    """What the C is generated from, with one weight of the first table a step off."""
    program = container.read(run / "model.spk")
    table = program.tables[0]
    matrix = wrong_weight(np.array(decode(table)), "single weight").astype(np.int32)
    tables = (encode(matrix, table.encoding, table.bits), *program.tables[1:])
    wrong = replace(program, tables=tables)
    return describe(wrong, plan(wrong))


def plant_in_c(run, leg, defect, patch):
    """From now on ``leg`` alone compiles wrong C."""
    if leg == "host":
        right = spikepress.tools.host.build

        def build(files, flags, output):
            return right(wrong_sources(run, dict(files), defect), flags, output)

        patch.setattr(spikepress.tools.host, "build", build)
    else:
        right_for_core = spikepress.tools.cross.build_for_core

        def build_for_core(files, core, *flags):
            wrong = wrong_sources(run, dict(files), defect) if core.name == leg else files
            return right_for_core(wrong, core, *flags)

        patch.setattr(spikepress.tools.cross, "build_for_core", build_for_core)

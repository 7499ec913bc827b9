"""Compresses the dense net of a run directory without training it, and writes it as a ``.spk`` file.

``python -m benchmarks.compressed_run RUN --sparsity 0.97 --bits 4 --out FILE.spk`` prints the accuracy on
validation samples and the bytes stored. Only training samples calibrate it; test samples are not read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.quantize import QuantizeOptions, quantize
from exporter.sources.torch import graph_from_torch
from pruner.compression import Compression
from pruner.post_training import Calibrated
from runtime.container import write
from runtime.cost import footprint
from spikepress.rundir import RunDirectory
from spikepress.settings import load_settings
from trainer import checkpoint, datasets
from trainer.evaluate import evaluate


def compressed(run: Path, wish: Compression, out: Path) -> dict[str, object]:
    """Writes the compressed net of a run; what it stores and how it does on validation samples."""
    config = load_settings(RunDirectory(run)).config
    data = datasets.load(config.data.name, None, config.data.options)
    net = checkpoint.load(run / "dense.safetensors").eval()
    made = Calibrated(net, data.train).compress(wish)
    held = data.validation
    right = evaluate(made.net, held).predictions == held.y
    program = lower(drop_dead(quantize(simplify(graph_from_torch(made.net.eval())), QuantizeOptions())))
    write(program, out)
    return {
        "validation_accuracy": round(float(right.mean()), 4),
        "weight_sparsity": round(made.weight_sparsity, 4),
        "neurons": dict(made.neurons),
        "stored_bytes": sum(line.total for line in footprint(program)),
        "seconds": round(made.seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compressed_run", description=__doc__)
    parser.add_argument("run", type=Path, help="a run directory with a dense checkpoint")
    parser.add_argument("--sparsity", type=float, default=0.97)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--fan-in", type=int, help="0 keeps every hidden neuron")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    wish = Compression(sparsity=options.sparsity, bits=options.bits, fan_in=options.fan_in)
    print(json.dumps(compressed(options.run, wish, options.out)))


if __name__ == "__main__":
    main()

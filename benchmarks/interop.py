"""Networks of other frameworks, trained, brought here and run: ``python -m benchmarks.interop``.

Each construct of snnTorch and, where they are installed, of SpikingJelly and norse is trained on
scikit-learn's digits as events, run by its framework on test samples, and imported: as modules, and by the
NIR file that the framework writes. *Float*: our reference in real units, spike by spike beside the framework.
*Integer*: 8-bit weights and leaks by shifts. IF networks also go by NIR as sinabs writes them, and ours go
out by NIR and back. The page that is written beside the JSON is the matrix; nothing in it is written by hand.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.interop_nets import Events, Producer, digits, producers, spikes_of, train
from benchmarks.interop_page import page
from exporter.graph import Graph
from exporter.lower import lower
from exporter.passes import bias_unit, drop_dead, simplify
from exporter.plain import load_nir
from exporter.quantize import quantize
from exporter.reference import run_float
from exporter.shift_leaks import shift_leaks
from exporter.sources.modules import graph_from_modules
from exporter.sources.nir import graph_from_nir
from exporter.sources.nir_neurons import Conventions
from exporter.targets.nir import to_nir
from runtime.engine import Engine
from runtime.errors import SpikepressError
from runtime.spec import Compare, Reset

BACK = "out by NIR and back"
ROOT = Path(__file__).parent.parent
PACKAGES = ("snntorch", "spikingjelly", "norse", "nir", "nirtorch", "torch")


def measured(graph: Graph, expected: NDArray[np.int32], events: Events) -> dict[str, Any]:
    """Our float and integer networks beside the framework's spikes (steps, samples, classes)."""
    shape = graph.nodes[0].spec.shape  # type: ignore[union-attr]
    x = events.x.reshape(*events.x.shape[:2], *shape)
    found = run_float(graph, x).spikes[graph.output]
    same = found == expected
    whole = lower(drop_dead(quantize(shift_leaks(bias_unit(simplify(graph)))[0])))
    integer = Engine(whole).run(x).predictions
    theirs = expected.sum(axis=0).argmax(axis=1)
    return {
        "samples_whole": float(same.all(axis=(0, 2)).mean()),
        "bits": float(same.mean()),
        "spikes": int(expected.sum()),
        "accuracy": {
            "framework": float(np.mean(theirs == events.y)),
            "float": float(np.mean(found.sum(axis=0).argmax(axis=1) == events.y)),
            "integer": float(np.mean(integer == events.y)),
        },
    }


def tried(make: Callable[[], Graph], expected: NDArray[np.int32], events: Events) -> dict[str, Any]:
    """What was measured, or the sentence that refused the network."""
    try:
        return measured(make(), expected, events)
    except SpikepressError as error:
        return {"refused": str(error)}


def rows_of(producer: Producer, training: Events, test: Events) -> list[dict[str, Any]]:
    """One row a way in; and the way out and back where NIR can say the network."""
    start = time.perf_counter()
    net = train(producer, training)
    expected = spikes_of(producer, net, test)
    told = {"framework": producer.framework, "construct": producer.construct}
    producer.reset(net)
    shape = producer.shape
    ways: dict[str, Callable[[], Graph]] = {}
    if producer.walked:
        ways["modules"] = lambda: graph_from_modules(net, shape=shape, n_steps=len(test.x))
    if producer.words is not None:
        ways["NIR"] = lambda: _by_nir(net, producer)
    elif "as sinabs" in producer.construct:
        ways["NIR"] = lambda: _as_sinabs(net)
    rows = [{**told, "way": way, **tried(make, expected, test)} for way, make in ways.items()]
    if producer.loses:
        rows[0]["loses"] = producer.loses
    rows.append({**told, "way": BACK, **_out_and_back(next(iter(ways.values())), test)})
    for row in rows:
        row["seconds"] = round(time.perf_counter() - start, 1)
    return rows


def rows_from(place: Path, test: Events) -> list[dict[str, Any]]:
    """As ``rows_of``, of a network that ``benchmarks.interop_elsewhere`` left in a folder."""
    start = time.perf_counter()
    told = json.loads((place / "told.json").read_text(encoding="utf-8"))
    with np.load(place / "fired.npz") as arrays:
        fired = arrays["fired"]

    def make() -> Graph:
        return load_nir(place / "model.nir", n_steps=len(test.x), **told["words"])

    named = {"framework": told["framework"], "construct": told["construct"]}
    rows = [
        {**named, "way": "NIR", **tried(make, fired, test)},
        {**named, "way": BACK, **_out_and_back(make, test)},
    ]
    for row in rows:
        row["seconds"] = round(time.perf_counter() - start, 1)
    return rows


def _by_nir(net: nn.Module, producer: Producer) -> Graph:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if producer.nir is not None:
            made = producer.nir(net)
        else:
            from snntorch.export_nir import export_to_nir

            made = export_to_nir(net, torch.zeros(*producer.shape))
    return graph_from_nir(made, Conventions(**(producer.words or {})))


def _as_sinabs(net: nn.Module) -> Graph:
    """The IF network as a NIR graph of the nodes that sinabs writes; it resets by subtraction at ``>=``."""
    import nir

    linear = [module for module in net if isinstance(module, nn.Linear)]  # type: ignore[attr-defined]
    nodes: list[Any] = []
    for one in linear:
        n = one.out_features
        nodes.append(nir.Affine(one.weight.detach().numpy(), one.bias.detach().numpy()))
        nodes.append(nir.IF(r=np.full(n, 1e4), v_threshold=np.ones(n), v_reset=np.zeros(n)))
    made = nir.NIRGraph.from_list(*nodes)
    return graph_from_nir(made, Conventions(reset=Reset.SUBTRACT, compare=Compare.GREATER_EQUAL))


def _out_and_back(make: Callable[[], Graph], test: Events) -> dict[str, Any]:
    """Exported as NIR without --lossy and read by NIR's own rules."""
    try:
        graph = make()
        again = graph_from_nir(to_nir(graph), Conventions(), readout=graph.readout)
        shape = graph.nodes[0].spec.shape  # type: ignore[union-attr]
        x = test.x.reshape(*test.x.shape[:2], *shape)
        same = run_float(graph, x).spikes[graph.output] == run_float(again, x).spikes[again.output]
        return {"samples_whole": float(same.all(axis=(0, 2)).mean()), "bits": float(same.mean())}
    except SpikepressError as error:
        return {"refused": str(error)}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _versions_elsewhere(places: Sequence[Path]) -> list[str]:
    """One line an environment that networks were brought from."""
    told = [json.loads((place / "told.json").read_text(encoding="utf-8"))["versions"] for place in places]
    return sorted({", ".join(f"{name} {number}" for name, number in one.items()) for one in told})


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where every network that can be said here fires as it did where it came from."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interop", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "interop.json")
    parser.add_argument(
        "--elsewhere", type=Path, help="Folder that benchmarks.interop_elsewhere wrote in other environments."
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    training, test = digits()
    rows = []
    brought = sorted(given.elsewhere.iterdir()) if given.elsewhere else []
    some = chain(
        (rows_of(producer, training, test) for producer in producers()),
        (rows_from(place, test) for place in brought),
    )
    for row in chain.from_iterable(some):
        rows.append(row)
        print(json.dumps(row), flush=True)
    found = {
        "command": "python -m benchmarks.interop" + (" --elsewhere DIR" if brought else ""),
        "python": platform.python_version(),
        "versions": _versions(),
        "elsewhere": _versions_elsewhere(brought),
        "test_samples": len(test.y),
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    return int(any(strays(row) for row in rows if row["construct"] not in unsayable(rows)))


def unsayable(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Constructs that no neuron here has (their modules are refused), or whose NIR files do not say them."""
    return {
        row["construct"] for row in rows if "loses" in row or (row["way"] == "modules" and "refused" in row)
    }


def strays(row: dict[str, Any]) -> bool:
    """Whether less than 99 % of samples are whole, or 99.99 % of bits right."""
    return bool(row.get("samples_whole", 1.0) < 0.99 or row.get("bits", 1.0) < 0.9999)


if __name__ == "__main__":
    raise SystemExit(main())

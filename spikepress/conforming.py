"""``conform``: whether a user's own part keeps the rules that ours are tested on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import ConfigError
from runtime.plugins import imported, made

KEY = "conform"


@dataclass(frozen=True)
class Check:
    """One rule. ``found``: what broke it; "" where it is kept."""

    rule: str
    found: str = ""

    @property
    def passes(self) -> bool:
        return not self.found

    @property
    def sentence(self) -> str:
        return f"kept: {self.rule}" if self.passes else f"broken: {self.rule}: found {self.found}"


@dataclass(frozen=True)
class Conformity:
    """All checks of one part, by what it is."""

    place: str
    kind: str
    checks: tuple[Check, ...]

    @property
    def passes(self) -> bool:
        return all(check.passes for check in self.checks)

    def as_json(self) -> dict[str, object]:
        rules = [{"rule": c.rule, "passes": c.passes, "found": c.found} for c in self.checks]
        return {"place": self.place, "kind": self.kind, "passes": self.passes, "checks": rules}


Rule = tuple[str, Callable[[], object]]
"""What is kept, and a function that returns what broke it, or a false value."""


def conform(place: str, *, data_dir: Path | None = None) -> Conformity:
    """Runs the shared checks on the data set, coder, layer, criterion, device or encoding at ``module:NAME``.

    ConfigError where it cannot be imported or is none of these.
    """
    part = imported(KEY, place)
    for kind, (belongs, rules) in _kinds().items():
        if belongs(part):
            return Conformity(place, kind, tuple(_judged(rule) for rule in rules(place, part, data_dir)))
    raise ConfigError(
        f"{KEY}: found {type(part).__name__} {place}, expected an Entry (options, load), a coder (encode), a"
        " layer (a dataclass with build), a Criterion, a Device or an encoding (encode, decode)"
    )


def _judged(rule: Rule) -> Check:
    words, broken = rule
    try:
        return Check(words, str(broken() or ""))
    except Exception as error:
        # whatever a user's part raises is a finding about it
        return Check(words, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


Rules = Callable[[str, Any, Path | None], Iterator[Rule]]


def _kinds() -> dict[str, tuple[Callable[[Any], bool], Rules]]:
    from dataclasses import is_dataclass

    from pruner.registry import Criterion
    from spikepress.catalog import Device

    def has(name: str) -> Callable[[Any], bool]:
        return lambda part: callable(getattr(part, name, None))

    def of(kind: type) -> Callable[[Any], bool]:
        return lambda part: isinstance(part, kind) or (isinstance(part, type) and issubclass(part, kind))

    return {
        "device": (of(Device), _device),
        "criterion": (of(Criterion), _criterion),
        "layer": (lambda part: isinstance(part, type) and is_dataclass(part) and has("build")(part), _layer),
        "encoding": (lambda part: has("encode")(part) and has("decode")(part), _encoding),
        "coder": (has("encode"), _coder),
        "dataset": (lambda part: has("load")(part) and hasattr(part, "options"), _dataset),
    }


def _device(place: str, part: Any, _: Path | None) -> Iterator[Rule]:
    from spikepress.catalog import Device, judge_all

    found = made(KEY, part)

    def limits() -> object:
        bad = {r.value: n for r, n in found.limits.items() if n <= 0 or found.reserved.get(r, 0) >= n}
        return f"{bad}" if bad else ""

    yield "it is a Device", lambda: "" if isinstance(found, Device) else type(found).__name__
    yield "every limit is above what is reserved of it", limits
    yield "it names its source", lambda: "" if found.source else "no source"
    yield (
        "a verdict can be given on it",
        lambda: "" if judge_all(dict.fromkeys(found.limits, 1), [found]) else "no verdict",
    )


def _coder(place: str, part: Any, _: Path | None) -> Iterator[Rule]:
    from trainer.datasets.coders import coded
    from trainer.datasets.registry import load

    coder = made(KEY, part)
    digits = load("digits")
    x = digits.test.x[:40]
    once = np.asarray(coder.encode(x))

    def alone() -> object:
        parts = np.concatenate([np.asarray(coder.encode(x[k : k + 1])) for k in range(len(x))])
        return "" if np.array_equal(parts, once) else "events that depend on the other samples"

    def same() -> object:
        return "" if np.array_equal(np.asarray(coder.encode(x)), once) else "other events the second time"

    def untouched() -> object:
        before = x.copy()
        coder.encode(x)
        return "" if np.array_equal(before, x) else "samples that it changed"

    def whole() -> object:
        info = coded(digits, place).info
        return "" if info.has_time and info.high < 1 << 16 else f"events up to {info.high}"

    yield "events are integers of 0 or more, samples and steps first", whole
    yield "the same samples give the same events", same
    yield "each sample is coded by itself", alone
    yield "the samples stay as they are", untouched
    yield (
        "a network trained on its events is the same integers in every leg",
        lambda: _legs(_config(coder=place, layers=("flatten", "lif"))),
    )


def _dataset(place: str, part: Any, data_dir: Path | None) -> Iterator[Rule]:
    from trainer.datasets.registry import load

    splits = load(place, data_dir)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}

    def whole() -> object:
        wrong = [name for name, one in parts.items() if one.x.dtype.kind not in "iub" or not len(one)]
        return f"{wrong} that are empty or not integers" if wrong else ""

    def within() -> object:
        ends = min(int(p.x.min()) for p in parts.values()), max(int(p.x.max()) for p in parts.values())
        low, high = splits.info.low, splits.info.high
        return "" if low <= ends[0] and ends[1] <= high else f"values {ends}, said {low}..{high}"

    def shapes() -> object:
        wrong = {
            name: one.x.shape[1:]
            for name, one in parts.items()
            if one.x.shape[1:] != splits.info.sample_shape
        }
        return f"{wrong}, said {splits.info.sample_shape}" if wrong else ""

    def labels() -> object:
        count = len(splits.info.classes)
        found = {int(v) for one in parts.values() for v in np.unique(one.y)} if count else set()
        return "" if found <= set(range(count)) else f"labels {sorted(found)[:12]} of {count} classes"

    def again() -> object:
        other = load(place, data_dir)
        return "" if np.array_equal(other.train.x, splits.train.x) else "other samples the second time"

    def apart() -> object:
        groups = [set(map(int, one.groups)) for one in parts.values() if one.groups is not None]
        shared = set.intersection(*groups) if len(groups) == 3 else set()
        return f"groups {sorted(shared)[:8]} in every split" if shared else ""

    yield "every split holds integer samples", whole
    yield "values are within what it says", within
    yield "samples have the shape that it says", shapes
    yield "labels are numbers of its classes", labels
    yield "loading twice gives the same", again
    yield "no group stands in every split", apart


def _criterion(place: str, part: Any, _: Path | None) -> Iterator[Rule]:
    import torch

    from pruner.evidence import Evidence

    criterion = made(KEY, part)

    def evidence(seed: int) -> Evidence:
        draw = torch.Generator().manual_seed(seed)
        weight = torch.randn(6, 5, generator=draw)
        return Evidence(
            weight,
            torch.Generator().manual_seed(seed),
            gradient=torch.randn(6, 5, generator=draw),
            weight_then=weight.clone(),
            criticality=torch.rand(6, generator=draw),
            rate=torch.rand(5, generator=draw),
        )

    def shape() -> object:
        score = criterion.score(evidence(0))
        fits = score.shape == (6, 5) and score.dtype == torch.float64 and bool(torch.isfinite(score).all())
        return "" if fits else f"{tuple(score.shape)} {score.dtype}"

    def same() -> object:
        one, other = criterion.score(evidence(0)), criterion.score(evidence(0))
        return "" if torch.equal(one, other) else "other scores from the same generator"

    def untouched() -> object:
        given = evidence(0)
        before = given.weight.clone()
        criterion.score(given)
        return "" if torch.equal(before, given.weight) else "weights that it changed"

    yield "scores are finite, float64, one a weight", shape
    yield "the same evidence gives the same scores", same
    yield "the weights stay as they are", untouched
    yield "a network pruned by it is the same integers in every leg", lambda: _legs(_config(criterion=place))


def _encoding(place: str, part: Any, _: Path | None) -> Iterator[Rule]:
    from runtime.encodings.own import Own

    own = Own(KEY, part)

    def damaged() -> object:
        rng, matrix = np.random.default_rng(0), next(_matrices(own))[0]
        bits = max(own.widths)
        for _ in range(200):
            arrays = {name: array.copy() for name, array in _stored(own, matrix, bits).items()}
            touched = arrays[list(arrays)[rng.integers(len(arrays))]].view(np.uint8)
            if touched.size:
                touched[rng.integers(touched.size)] ^= 1 << rng.integers(8)
            _checked(own, arrays, matrix, bits)
        return ""

    def whole() -> object:
        for matrix, bits in _matrices(own):
            rows, columns = matrix.shape
            own.check(_stored(own, matrix, bits), rows, columns, bits)
        return ""

    yield "tables of every density, shape and width come back, from the same bytes", whole
    yield "damaged arrays are refused or read whole", damaged
    yield "a network stored in it is the same integers in every leg", lambda: _legs(_config(), place)


def _matrices(own: Any) -> Iterator[tuple[Any, int]]:
    rng = np.random.default_rng(1)
    for bits in sorted(own.widths):
        most = 1 if bits == 1 else (1 << (bits - 1)) - 1
        for shape in ((24, 40), (1, 1), (1, 300), (300, 1), (5, 7)):
            for density in (0.1, 0.0, 0.01, 0.5, 1.0):
                drawn = rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape)
                yield (drawn * (rng.random(shape) < density)).astype(np.int32), bits


def _stored(own: Any, matrix: Any, bits: int) -> Any:
    from runtime.encodings.sparse import Sparse

    return own.encode(Sparse(matrix), bits).arrays


def _checked(own: Any, arrays: Any, matrix: Any, bits: int) -> None:
    """Whatever a part raises of damaged bytes is turned into the one error; anything else breaks the rule."""
    from runtime.errors import ModelError

    try:
        own.check(arrays, *matrix.shape, bits)
    except ModelError:
        return


def _layer(place: str, part: Any, _: Path | None) -> Iterator[Rule]:
    yield (
        "a network with it is the same integers in every leg",
        lambda: _legs(_config(layers=("flatten", place))),
    )
    yield "it trains: weights before it change", lambda: _trains(_config(layers=("flatten", place)))


def _config(
    *, coder: str = "", criterion: str = "magnitude", layers: tuple[str, ...] = ("flatten", "lif")
) -> str:
    """A small network on digits: what is said, between weights, with a readout of LIF neurons."""
    first, neuron = layers
    return f"""
[data]
name = "digits"
{f'coder = "{coder}"' if coder else ""}
[input]
coding = "{"events" if coder else "direct"}"
{"" if coder else "n_steps = 3"}
[[layers]]
kind = "{first}"
[[layers]]
kind = "linear"
out = 20
[[layers]]
kind = "{neuron}"
[[layers]]
kind = "linear"
[[layers]]
kind = "lif"
[train]
epochs = 1
lr = 1e-2
threads = 1
[prune]
sparsity = 0.5
criterion = "{criterion}"
epochs = 1
events = 2
[quantize]
epochs = 1
"""


def _legs(text: str, encoding: str | None = None) -> str:
    """Trains, prunes, quantizes and exports a configuration and holds its legs together."""
    from spikepress.pipeline import export, prune, quantize, train
    from spikepress.verification import verify

    with tempfile.TemporaryDirectory() as folder:
        config, run = Path(folder) / "net.toml", Path(folder) / "run"
        config.write_text(text, encoding="utf-8")
        train(config, run)
        prune(run)
        quantize(run)
        export(run, encoding=encoding)
        found = verify(run, samples=20)
        return "" if found.exact else f"{found.as_json()['legs']}"


def _trains(text: str) -> str:
    from spikepress.pipeline import train
    from spikepress.rundir import RunDirectory, read_log

    with tempfile.TemporaryDirectory() as folder:
        config, run = Path(folder) / "net.toml", Path(folder) / "run"
        config.write_text(text.replace("epochs = 1", "epochs = 4", 1), encoding="utf-8")
        train(config, run)
        losses = [float(str(line["loss"])) for line in read_log(RunDirectory(run).log)]
        return "" if losses[-1] < losses[0] else f"a loss of {losses[0]:.3f} that came to {losses[-1]:.3f}"

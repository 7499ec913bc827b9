"""Saves and loads nets as ``NAME.safetensors`` and, beside it, ``NAME.json``. No pickle.

The JSON says how to build the net again: input, readout, classes, layers, folding and quantization.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from runtime.errors import ConfigError, FormatError, OutputError
from runtime.spec import InputSpec, Readout
from trainer.build import Recipe, from_recipe
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare
from trainer.quant import WeightBits
from trainer.synapse import Synapse
from trainer.tables import read_table

VERSION = 1
OPTIMIZER = "optimizer."


def save(
    path: Path | str,
    net: SpikingNet,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the net (and the optimizer's moments) to ``path``; ``extra`` goes into the JSON.

    Raises:
        OutputError: the place cannot be written. Nothing is left half-written.
    """
    path = Path(path)
    tensors = {f"net.{key}": value.contiguous() for key, value in net.state_dict().items()}
    if optimizer is not None:
        tensors |= _moments(optimizer)
    description = describe(net) | {"extra": dict(extra or {})}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, safetensors.torch.save(tensors))
        _replace(path.with_suffix(".json"), (json.dumps(description, indent=1) + "\n").encode())
    except OSError as error:
        raise OutputError(f"checkpoint {path}: found {error}, expected a writable place") from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def describe(net: SpikingNet) -> dict[str, Any]:
    """What it takes to build the net again, as JSON values."""
    recipe, plan = net.recipe, net.quantization
    return {
        "version": VERSION,
        "input": _plain(dataclasses.asdict(net.input)),
        "readout": net.readout.value,
        "classes": list(net.classes),
        "recipe": None if recipe is None else _plain(dataclasses.asdict(recipe)),
        "folded": net.folded,
        # not the recipe's, where they were set after training
        "thresholds": {name: list(neuron.firing.threshold) for name, neuron in net.neurons().items()},
        "quantization": None if plan is None else _plain(dataclasses.asdict(plan)),
    }


def _plain(value: Any) -> Any:
    """JSON values of nested dataclass contents."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, WeightBits):
        return value.value[0]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def load(path: Path | str, net: SpikingNet | None = None) -> SpikingNet:
    """The net in a checkpoint: ``net`` filled, or built anew when it came from a configuration.

    Batch norms are folded and quantizers prepared as they were.

    Raises:
        FormatError: the file is missing, damaged, or of a net that cannot be built without ``net``.
    """
    path = Path(path)
    description = read_description(path)
    tensors = net_tensors(path)
    built = _build(description, path) if net is None else net
    _shape_like(built, description, tensors, path)
    try:
        built.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"checkpoint {path}: found {reason}, expected this net's tensors") from error
    return built


def read_description(path: Path | str) -> dict[str, Any]:
    """The JSON beside a checkpoint; raises FormatError."""
    file = Path(path).with_suffix(".json")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"checkpoint {file}: found {error}, expected its JSON description") from error
    found = description.get("version") if isinstance(description, dict) else None
    if found != VERSION:
        raise FormatError(f"checkpoint {file}: found version {found}, expected {VERSION}")
    return dict(description)


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load(path.read_bytes()))
    except (OSError, safetensors.SafetensorError) as error:
        raise FormatError(f"checkpoint {path}: found {error}, expected a safetensors file") from error


def net_tensors(path: Path | str) -> dict[str, Tensor]:
    """The net's tensors by state key; raises FormatError."""
    every = _tensors(Path(path))
    return {key.removeprefix("net."): value for key, value in every.items() if key.startswith("net.")}


def _build(description: Mapping[str, Any], path: Path) -> SpikingNet:
    told = description["recipe"]
    if told is None:
        raise FormatError(f"checkpoint {path}: found a net built by hand, expected the net as an argument")
    folder = path.parent
    if told["module"] is not None and not (folder / told["module"].partition(":")[0]).is_file():
        folder = Path(told["folder"])
    try:
        spec = read_table(InputSpec, description["input"], "input")
        readout = Readout(description["readout"])
        recipe = Recipe(tuple(told["layers"]), told["module"], told["n_classes"], folder)
        return from_recipe(recipe, spec, readout, tuple(description["classes"]))
    except (KeyError, ConfigError, ValueError) as error:
        raise FormatError(f"checkpoint {path}: found {error}, expected a net that can be built") from error


def _shape_like(
    net: SpikingNet, description: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path
) -> None:
    """Fold, prepare and mask ``net`` so that it has a place for every tensor."""
    if description["folded"] and not net.folded:
        fold_batch_norm(net)
    for name, neuron in net.neurons().items():
        told = description.get("thresholds", {}).get(name)
        if told is not None:
            neuron.firing = dataclasses.replace(neuron.firing, threshold=tuple(told))
    plan = description["quantization"]
    if plan is not None and net.quantization is None:
        prepare(net, plan["bits"], first=plan["first"], last=plan["last"])
    for name, module in net.named_modules():
        if isinstance(module, Synapse):
            module.set_mask(tensors.get(f"{name}.mask"))


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{OPTIMIZER}{index}.{name}": value.contiguous()
        for index, entries in state.items()
        for name, value in entries.items()
        if isinstance(value, Tensor)
    }


def load_moments(path: Path | str, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer over the same parameters its moments back; raises FormatError."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _tensors(Path(path)).items():
        if key.startswith(OPTIMIZER):
            index, name = key.removeprefix(OPTIMIZER).split(".", 1)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

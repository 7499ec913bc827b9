"""Builds a net from a configuration, or again from what a checkpoint remembers of one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runtime.errors import ConfigError
from runtime.spec import Coding, InputSpec, Readout
from trainer.blueprint import build_layers, read_layers
from trainer.check import check_structure
from trainer.config import Config, InputConfig
from trainer.datasets import DatasetInfo
from trainer.models import SpikingNet
from trainer.tables import require

STEP_US = 1000
"""Of a step where neither the configuration nor the data set says."""


@dataclass(frozen=True)
class Recipe:
    """What it takes to build a body again: layer tables, or a user's "file.py:function" and its folder."""

    layers: tuple[Mapping[str, object], ...]
    module: str | None
    n_classes: int
    folder: Path = Path()


def build_net(config: Config, spec: InputSpec, n_classes: int, classes: tuple[str, ...] = ()) -> SpikingNet:
    """The untrained net of a configuration, its weights drawn from ``train.seed``.

    Raises:
        ConfigError: the layers do not fit the input or each other, or a user's module cannot be loaded.
        ModelError, UnsupportedError: the net has no integer form, see ``check.check_structure``.
    """
    module = None if config.model is None else config.model.module
    recipe = Recipe(config.layers, module, n_classes, config.folder)
    with torch.random.fork_rng():
        torch.manual_seed(config.train.seed)
        return from_recipe(recipe, spec, config.train.readout, classes)


def from_recipe(recipe: Recipe, spec: InputSpec, readout: Readout, classes: tuple[str, ...]) -> SpikingNet:
    """A net with new weights; see ``build_net``."""
    if recipe.module is None:
        body: nn.Module = build_layers(read_layers(recipe.layers, "layers"), spec.shape, recipe.n_classes)
    else:
        body = users_function(recipe.module, recipe.folder)(spec.shape, recipe.n_classes)
        if not isinstance(body, nn.Module):
            raise ConfigError(
                f"model.module {recipe.module}: found a function that returned {type(body).__name__}, "
                "expected a torch module"
            )
    net = body if isinstance(body, SpikingNet) else SpikingNet(body, spec, readout, classes)
    check_structure(net)
    net.recipe = recipe
    return net


def users_function(module: str, folder: Path) -> Callable[[tuple[int, ...], int], Any]:
    """The function "file.py:function" below ``folder``; raises ConfigError."""
    file, _, name = module.partition(":")
    path = folder / file
    if not name or not path.is_file():
        found = f"no file {path}" if name else f"{module!r} without a function"
        raise ConfigError(f"model.module: found {found}, expected 'file.py:function'")
    spec = importlib.util.spec_from_file_location(f"users_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(loaded)
    except Exception as error:
        # a user's file can raise anything, and whatever it is belongs in the sentence
        raise ConfigError(f"model.module {path}: found {error!r} on import, expected a module") from error
    function = getattr(loaded, name, None)
    if not callable(function):
        raise ConfigError(f"model.module {path}: found no function {name}, expected one")
    return function  # type: ignore[no-any-return]


def input_spec(config: InputConfig, info: DatasetInfo) -> InputSpec:
    """What a net is fed, from ``[input]`` and what the data set says about itself.

    Raises:
        ConfigError: coding and data do not go together.
    """
    timed = config.coding in (Coding.EVENTS, Coding.DELTA) or (
        config.coding is Coding.DIRECT and info.has_time
    )
    require(not (timed and not info.has_time), "input.coding", config.coding.value, "data with a time axis")
    still = config.coding in (Coding.RATE, Coding.LATENCY)
    require(not (still and info.has_time), "input.coding", config.coding.value, "data without a time axis")
    n_steps = _steps(config, info, timed)
    shape = _shape(config, info)
    top = max(abs(info.low), abs(info.high), 1)
    counts = config.coding is not Coding.DIRECT
    bits = _bits(config, info)
    shift = max(info.bits - bits, 0) if config.coding is Coding.DIRECT and not info.signed else 0
    return InputSpec(
        shape=shape,
        coding=config.coding,
        n_steps=n_steps,
        bits=bits,
        scale=config.scale if config.scale is not None else (1.0 if counts else 1.0 / max(top >> shift, 1)),
        signed=config.coding is Coding.DIRECT and info.signed,
        constant=config.coding is Coding.DIRECT and not info.has_time,
        sample_bits=info.bits,
        sample_shift=shift,
        delta=config.delta,
        seed=config.seed,
        step_us=config.step_us or info.step_us or STEP_US,
    )


def _steps(config: InputConfig, info: DatasetInfo, timed: bool) -> int:
    if not timed:
        return 8 if config.n_steps is None else config.n_steps
    length = info.sample_shape[0]
    if config.n_steps not in (None, length):
        raise ConfigError(f"input.n_steps: found {config.n_steps}, expected {length}, the data set's steps")
    return length


def _shape(config: InputConfig, info: DatasetInfo) -> tuple[int, ...]:
    natural = info.input_shape
    if config.coding is Coding.DELTA:
        natural = (2 * _size(natural),)
    if config.shape is None:
        return natural
    require(_size(config.shape) == _size(natural), "input.shape", config.shape, f"the size of {natural}")
    return config.shape


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _bits(config: InputConfig, info: DatasetInfo) -> int:
    if config.coding in (Coding.RATE, Coding.LATENCY):
        return 1
    if config.bits is not None:
        cut = config.coding is Coding.DELTA or (config.coding is Coding.DIRECT and not info.signed)
        require(
            cut or config.bits >= info.bits,
            "input.bits",
            config.bits,
            f"at least the {info.bits} bits of the data set",
        )
        return config.bits
    return 1 if config.coding is Coding.DELTA else info.bits

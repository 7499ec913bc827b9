"""The cells of a sweep: every combination of the values asked for, each with every seed, as TOML texts."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.errors import ConfigError
from spikepress.settings import with_seed, with_value

Values = Mapping[str, Sequence[str]]
"""By key, "section.name", the values to try, as TOML writes them."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: what it sets, its seed, and the whole configuration."""

    setting: tuple[tuple[str, str], ...]
    seed: int
    text: str

    @property
    def label(self) -> str:
        """The setting in a person's words; also the name of its folder."""
        return ",".join(f"{key}={value}".replace('"', "") for key, value in self.setting) or "as-configured"

    @property
    def folder(self) -> str:
        plain = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", self.label)
        return f"{plain}/seed{self.seed}"


def cells(text: str, values: Values, seeds: Sequence[int]) -> tuple[Cell, ...]:
    """Every combination, in the order given, seeds innermost. ConfigError for none, or two of one name."""
    if not seeds:
        raise ConfigError("sweep --seeds: found none, expected at least one")
    made = []
    for combination in itertools.product(*(values[key] for key in values)):
        setting = tuple(zip(values, combination, strict=True))
        changed = text
        for key, value in setting:
            section, _, name = key.rpartition(".")
            changed = with_value(changed, section, name, value)
        made += [Cell(setting, seed, with_seed(changed, seed)) for seed in seeds]
    if len({cell.folder for cell in made}) < len(made):
        raise ConfigError("sweep: found the same setting or seed twice, expected each once")
    return tuple(made)


def read_values(options: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values in options "section.name=a,b"; commas within brackets or quotes do not part them."""
    out: dict[str, tuple[str, ...]] = {}
    for option in options:
        key, equals, rest = option.partition("=")
        if not equals or not re.fullmatch(r"[a-z_]+\.[a-z_]+", key) or not rest:
            raise ConfigError(f"sweep --set: found {option!r}, expected section.name=value,value")
        if key in out:
            raise ConfigError(f"sweep --set: found {key} twice, expected all its values in one option")
        out[key] = tuple(_as_toml(part) for part in _parts(rest))
    return out


def _parts(text: str) -> list[str]:
    """``text`` cut at commas outside brackets and quotes."""
    return [part for part in re.findall(r'(?:\[[^\]]*\]|\{[^}]*\}|"[^"]*"|[^,\[{"])+', text) if part.strip()]


def _as_toml(text: str) -> str:
    """The value as TOML writes it: as it is where that is TOML, as a text otherwise."""
    try:
        tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return json.dumps(text)
    return text.strip()


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds "0..4" (both ends), "3" or "0,2,5"; ConfigError otherwise."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:\.\.\s*(\d+)\s*)?", part)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise ConfigError(f"sweep --seeds: found {text!r}, expected numbers such as 0..4 or 0,2,5")
        seeds += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(seeds)

"""How a smaller model is made of a trained one: the choices that ``fit`` searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import product


@dataclass(frozen=True)
class Column:
    """Every choice but the density. ``neurons``: share of hidden neurons kept. ``bits``: width of a weight,
    ``last``: of those that drive the output. ``block``: neighbouring outputs that keep or lose an input
    together."""

    neurons: float = 1.0
    bits: str = "4"
    last: str = "4"
    block: int = 1


@dataclass(frozen=True)
class Recipe:
    """One smaller model: a column, and the share of the trained network's weights that it keeps. Encodings
    and schedule follow by exact cost."""

    column: Column
    density: float

    def as_json(self) -> dict[str, object]:
        return {**asdict(self.column), "density": self.density}

    @property
    def words(self) -> str:
        column = self.column
        last = f" ({column.last} bit at the output)" if column.last != column.bits else ""
        block = f", blocks of {column.block}" if column.block > 1 else ""
        return (
            f"{column.neurons:.1%} of hidden neurons, {self.density:.2%} of weights,"
            f" {column.bits} bit{last}{block}"
        )


def _falling(factor: float, count: int) -> tuple[float, ...]:
    return tuple(round(factor**k, 5) for k in range(count))


@dataclass(frozen=True)
class Lattice:
    """The recipes of a search: every combination, each axis from where the search starts outwards."""

    neurons: tuple[float, ...] = field(default_factory=lambda: _falling(0.5**0.5, 8))
    """From all to fewer: powers of the half root, as ``pruner.post_training`` takes them."""
    densities: tuple[float, ...] = field(default_factory=lambda: _falling(0.93, 76))
    """From all to fewer, by 7 % each: finer steps are below the noise of an accuracy."""
    bits: tuple[str, ...] = ("8", "4", "3", "ternary")
    """From wide, which are the quickest to make, to narrow."""
    last: tuple[str, ...] = ("", "8")
    """Width of the output's weights; "" is that of all others."""
    blocks: tuple[int, ...] = (1, 4)

    def columns(self) -> Iterator[Column]:
        for neurons, bits, last, block in product(self.neurons, self.bits, self.last, self.blocks):
            if last != bits:
                yield Column(neurons, bits, last or bits, block)

    def recipes(self, column: Column) -> tuple[Recipe, ...]:
        """The recipes of one column, densest first."""
        return tuple(Recipe(column, density) for density in self.densities if density <= column.neurons)

    def every(self) -> tuple[Recipe, ...]:
        return tuple(recipe for column in self.columns() for recipe in self.recipes(column))

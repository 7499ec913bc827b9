"""Finds the most accurate model that fits a budget, making few: sizes first, accuracy last.

Sizes are estimated before a model is made, and every model that was made corrects the estimates that
follow. What is returned fits by its own exact sizes, never by an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, overload

from spikepress.catalog import Resource
from spikepress.fit_verdict import LATENCY, SYNOPS, FitBudget, Layout, Model, better, decide, judge, shares
from spikepress.recipe import Column, Lattice, Recipe

MARGIN = 1.01
"""Models are aimed at a hundredth below the budget, so that the first one made usually fits."""
DENSER = 1.25
"""A column is tried once more when so many times the weights should fit too."""
DOUBT = 1.2
"""A column is called too large without a model when its smallest estimate is this far above the budget."""
DOUBTS = {Resource.RAM.value: 2.5, SYNOPS: 2.5, LATENCY: 2.5}
"""The same where it takes more: pruning leaves neurons unheard, which need no RAM and whose spikes go
nowhere; how many is not known until the model was made."""

SHORT = 0.05
"""A search that ends this little below the accuracy asked for goes on for a while before it says no."""
PERSISTENCE = 28
"""Columns that are tried then: all choices of width and block at two shares of neurons."""


@dataclass(frozen=True)
class Estimate:
    """What a recipe's model would need, under each schedule; ``synops`` None where nothing is known."""

    layouts: tuple[Layout, ...]
    synops: float | None = None


class Workshop(Protocol):
    """Makes models. Both answers are pure functions of the recipe."""

    def estimate(self, recipe: Recipe) -> Estimate | None:
        """What the model would need, about; None for a recipe that cannot be made."""
        ...

    def make(self, recipe: Recipe) -> Model:
        """The model itself, exactly sized and measured."""
        ...


@dataclass
class Search:
    """One search. ``made`` holds every model that was made, in order; searches may share it."""

    workshop: Workshop
    lattice: Lattice
    budget: FitBudget
    made: dict[Recipe, Model] = field(default_factory=dict)

    def run(self, *, thorough: bool = False) -> Model | None:
        """The best model found; None when none fits or none is accurate enough.

        ``thorough`` tries every column instead of one axis after the other.
        """
        if thorough:
            for column in self.lattice.columns():
                self._column(column)
        best = next((model for bits in self.lattice.bits if (model := self._by_neurons(bits))), None)
        if best is None:
            best = next(iter(self._doubtful()), None)
        if best is not None:
            best = self._refined(best)
        found = decide(self.made.values(), self.budget)
        return found if found is not None or best is None else self._persistent(best)

    def _persistent(self, best: Model) -> Model | None:
        """When ``best`` fits and falls just short of the accuracy: every column near it, and fewer weights,
        until one will do."""
        if best.accuracy < self.budget.accuracy - SHORT:
            return None
        neurons = _column_of(best).neurons
        nearest = sorted(self.lattice.columns(), key=lambda column: abs(column.neurons - neurons))
        for column in nearest[:PERSISTENCE]:
            model = self._column(column) or self._doubtful_column(column)
            if model is not None:
                self.smaller(model)
            found = decide(self.made.values(), self.budget)
            if found is not None:
                return found
        return None

    def any(self) -> Model | None:
        """Some model that fits and is accurate enough, at the least effort."""
        known = decide(self.made.values(), self.budget)
        if known is not None:
            return known
        for bits in self.lattice.bits:
            for neurons in self.lattice.neurons:
                model = self._accepted([self._column(self._plain(neurons, bits))])
                if model is not None:
                    return model
        return self._accepted(self._doubtful())

    def smaller(self, best: Model) -> None:
        """Makes the best model at half and at a quarter of its density too: for the front, and because
        fewer weights are now and then no less accurate."""
        if best.recipe is None:
            return
        recipes = self._possible(best.recipe.column)
        for wanted in (best.recipe.density / 2, best.recipe.density / 4):
            if recipes:
                self._make(min(recipes, key=lambda r: abs(r.density - wanted)))

    def _accepted(self, found: Iterable[Model | None]) -> Model | None:
        return decide([model for model in found if model is not None], self.budget)

    def _plain(self, neurons: float, bits: str) -> Column:
        return Column(neurons, bits, self.lattice.last[0] or bits, self.lattice.blocks[0])

    def _by_neurons(self, bits: str) -> Model | None:
        """From all neurons to fewer, until fewer no longer help."""
        return self._along([self._plain(neurons, bits) for neurons in self.lattice.neurons], None)

    def _refined(self, best: Model) -> Model:
        """``best`` with every other choice changed, one after the other."""
        bits = self.lattice.bits
        narrower = bits[bits.index(_column_of(best).bits) + 1 :]
        best = self._along([replace(_column_of(best), bits=b, last=b) for b in narrower], best)
        lasts = [replace(_column_of(best), last=last or _column_of(best).bits) for last in self.lattice.last]
        best = self._along(lasts, best)
        return self._along([replace(_column_of(best), block=block) for block in self.lattice.blocks], best)

    @overload
    def _along(self, columns: Iterable[Column], best: Model) -> Model: ...
    @overload
    def _along(self, columns: Iterable[Column], best: None) -> Model | None: ...
    def _along(self, columns: Iterable[Column], best: Model | None) -> Model | None:
        """The best of one column after the other, until the next is worse."""
        for column in columns:
            if best is not None and column == _column_of(best):
                continue
            model = self._column(column)
            if model is not None and best is not None and better(model) < better(best):
                break
            best = best if model is None else model
        return best

    def _column(self, column: Column) -> Model | None:
        """The densest model of a column that fits, None when none does."""
        recipes = self._possible(column)
        place = self._edge(recipes)
        if place is None:
            return None
        best: Model | None = None
        while place < len(recipes):
            model = self._make(recipes[place])
            if judge(model, self.budget).fits:
                edge = self._edge(recipes)
                if best is not None or edge is None:
                    return model if best is None else max(best, model, key=better)
                if recipes[edge].density < DENSER * recipes[place].density:
                    return model
                best, place = model, edge
            elif best is not None:
                return best
            else:
                edge = self._edge(recipes)
                place = max(place + 1, len(recipes) - 1 if edge is None else edge)
        return best

    def _doubtful(self) -> Iterable[Model]:
        """Models of every column that may fit after all, the likeliest first; the first is always made."""
        last = [recipes[-1] for column in self.lattice.columns() if (recipes := self._possible(column))]
        for number, recipe in enumerate(sorted(last, key=self._load)):
            if number == 0:
                self._make(recipe)
            model = self._doubtful_column(recipe.column)
            if model is not None:
                yield model

    def _doubtful_column(self, column: Column) -> Model | None:
        """The densest model that fits of a column whose smallest estimate is a little above the budget: its
        smallest recipe is made to know."""
        recipes = self._possible(column)
        if not recipes or self._hopeless(recipes[-1]):
            return None
        model = self._make(recipes[-1])
        return self._column(column) or model if judge(model, self.budget).fits else None

    def _possible(self, column: Column) -> tuple[Recipe, ...]:
        recipes = self.lattice.recipes(column)
        return tuple(recipe for recipe in recipes if self.workshop.estimate(recipe) is not None)

    def _edge(self, recipes: Sequence[Recipe]) -> int | None:
        """Index of the densest recipe that should fit, by bisection; None when the sparsest should not."""
        if not recipes or self._load(recipes[-1]) * MARGIN > 1:
            return None
        low, high = 0, len(recipes) - 1
        while low < high:
            middle = (low + high) // 2
            if self._load(recipes[middle]) * MARGIN <= 1:
                high = middle
            else:
                low = middle + 1
        return low

    def _load(self, recipe: Recipe) -> float:
        """Largest estimated share of the budget, corrected by the model made that is most alike; exact for
        a model that was made."""
        if recipe in self.made:
            return judge(self.made[recipe], self.budget).worst
        return min(max(found.values(), default=0.0) for found in self._expected(recipe, self.made))

    def _hopeless(self, recipe: Recipe) -> bool:
        """Whether every schedule's estimate is too far above the budget to make the model and see; models of
        other widths and blocks tell too little to correct it."""
        if recipe in self.made:
            return not judge(self.made[recipe], self.budget).fits
        kin = [other for other in self.made if _kind(other.column) == _kind(recipe.column)]
        return all(
            any(share > DOUBTS.get(name, DOUBT) for name, share in found.items())
            for found in self._expected(recipe, kin)
        )

    def _expected(self, recipe: Recipe, made: Iterable[Recipe]) -> list[dict[str, float]]:
        """Estimated shares of the budget by constraint, under each schedule, corrected by the most alike of
        the models ``made``; what the estimate says nothing of, as a time, is left out."""
        estimate = self.workshop.estimate(recipe)
        assert estimate is not None
        factors = self._correction(recipe, made)
        return [
            {
                name: share * factors.get(name, 1.0)
                for name, share in shares(layout, self.budget, estimate.synops).items()
                if share < math.inf
            }
            for layout in estimate.layouts
        ]

    def _correction(self, recipe: Recipe, made: Iterable[Recipe]) -> dict[str, float]:
        """Exact over estimated, by constraint, of the model made that is most alike."""
        alike = min(made, key=lambda other: _distance(recipe, other), default=None)
        estimate = None if alike is None else self.workshop.estimate(alike)
        if alike is None or estimate is None:
            return {}
        model = self.made[alike]
        exact = shares(model.layouts[0], self.budget, model.synops)
        guess = shares(estimate.layouts[0], self.budget, estimate.synops)
        return {name: exact[name] / share for name, share in guess.items() if 0 < share < math.inf}

    def _make(self, recipe: Recipe) -> Model:
        if recipe not in self.made:
            self.made[recipe] = self.workshop.make(recipe)
        return self.made[recipe]


def _column_of(model: Model) -> Column:
    assert model.recipe is not None
    return model.recipe.column


def _kind(column: Column) -> tuple[str, str, int]:
    return (column.bits, column.last, column.block)


def _distance(one: Recipe, other: Recipe) -> tuple[bool, bool, float, float]:
    a, b = one.column, other.column
    ratio = max(one.density / other.density, other.density / one.density)
    neurons = max(a.neurons / b.neurons, b.neurons / a.neurons)
    return (a.block != b.block, a.bits != b.bits, neurons, ratio)

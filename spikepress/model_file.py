"""The models that ``fit`` made as JSON: what it tells, and what it keeps between runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.files import write_whole
from exporter.plan import Order, PlanOptions, Queues
from spikepress.catalog import Resource
from spikepress.fit_verdict import Layout, Model
from spikepress.recipe import Column, Recipe
from spikepress.work import Work


def model_json(model: Model) -> dict[str, object]:
    return {
        "words": model.words,
        "recipe": None if model.recipe is None else model.recipe.as_json(),
        "validation_accuracy": model.accuracy,
        "synops": model.synops,
        "worst_synops": model.worst_synops,
        "encodings": dict(model.encodings),
        "layouts": [layout_json(layout) for layout in model.layouts],
        "key": model.key,
    }


def layout_json(layout: Layout) -> dict[str, object]:
    return {
        "order": layout.schedule.order.value,
        "queues": layout.schedule.queues.value,
        "needs": {resource.value: need for resource, need in layout.needs.items()},
    }


def model_of(values: Mapping[str, Any]) -> Model:
    """The model that ``keep`` wrote. Raises KeyError, TypeError or ValueError where it is none."""
    recipe = values["recipe"]
    parts = zip(values["layouts"], values["work"], strict=True)
    return Model(
        recipe=None if recipe is None else _recipe(recipe),
        layouts=tuple(_layout(layout, *work) for layout, work in parts),
        accuracy=float(values["validation_accuracy"]),
        synops=float(values["synops"]),
        worst_synops=int(values["worst_synops"]),
        encodings={str(name): str(words) for name, words in values["encodings"].items()},
        key=str(values["key"]),
    )


def keep(path: Path, model: Model) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    work = [[_work_json(layout.work), _work_json(layout.worst_work)] for layout in model.layouts]
    write_whole(path, (json.dumps({**model_json(model), "work": work}, indent=1) + "\n").encode())


def kept(path: Path, recipe: Recipe, key: str) -> Model | None:
    """The model kept at ``path``, if it is there, whole, and of this recipe and key."""
    try:
        model = model_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return model if model.recipe == recipe and model.key == key and model.layouts else None


def _recipe(values: Mapping[str, Any]) -> Recipe:
    column = Column(float(values["neurons"]), str(values["bits"]), str(values["last"]), int(values["block"]))
    return Recipe(column, float(values["density"]))


def _layout(values: Mapping[str, Any], work: Any, worst: Any) -> Layout:
    schedule = PlanOptions(Order(values["order"]), Queues(values["queues"]))
    needs = {Resource(name): int(need) for name, need in values["needs"].items()}
    return Layout(schedule, needs, _work(work), _work(worst))


def _work_json(work: Work | None) -> dict[str, float] | None:
    return None if work is None else dict(work)


def _work(values: Any) -> Work | None:
    return None if values is None else {str(name): float(times) for name, times in values.items()}

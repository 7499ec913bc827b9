"""``Method``: a named way to prune while a network trains, as the keys of a ``[prune]`` table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Begins(Enum):
    """What a method prunes: a net that has been trained dense, or one with its first weights, in which
    case the dense training's epochs are the method's too."""

    TRAINED = "trained"
    UNTRAINED = "untrained"


@dataclass(frozen=True)
class Method:
    """Keys that ``method = "..."`` puts under those a ``[prune]`` table says itself.

    ``source`` names the paper, ``differs`` says in a sentence where we depart from it.
    """

    source: str
    differs: str
    keys: Mapping[str, object] = field(default_factory=dict)
    begins: Begins = Begins.TRAINED

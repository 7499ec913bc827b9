"""Whole networks in one compiled call: what ``Objective.SPEED`` runs where a program allows it."""

from runtime.fused.forms import Form
from runtime.fused.network import Fused
from runtime.fused.support import unsupported

__all__ = ["Form", "Fused", "unsupported"]

"""Prunes spiking networks while they train: masks, criteria, criticality, schedules, regeneration."""

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.mask import MaskSet
from pruner.registry import ALLOCATIONS, CRITERIA, KERNELS, NORMALIZATIONS, SCHEDULES

__all__ = [
    "ALLOCATIONS",
    "CRITERIA",
    "KERNELS",
    "NORMALIZATIONS",
    "SCHEDULES",
    "MaskSet",
    "PruneConfig",
    "Pruning",
]

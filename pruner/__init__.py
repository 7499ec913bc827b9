"""Prunes spiking networks while they train: masks, criteria, criticality, schedules, regeneration."""

from pruner.attach import Attached, attach
from pruner.callback import Pruning
from pruner.compression import Calibration, Compressed, Compression
from pruner.config import PruneConfig
from pruner.mask import MaskSet
from pruner.method import Begins, Method
from pruner.one_shot import one_shot
from pruner.post_training import Calibrated, compress
from pruner.probe import Membrane
from pruner.registry import ALLOCATIONS, CRITERIA, KERNELS, METHODS, NORMALIZATIONS, SCHEDULES

__all__ = [
    "ALLOCATIONS",
    "CRITERIA",
    "KERNELS",
    "METHODS",
    "NORMALIZATIONS",
    "SCHEDULES",
    "Attached",
    "Begins",
    "Calibrated",
    "Calibration",
    "Compressed",
    "Compression",
    "MaskSet",
    "Membrane",
    "Method",
    "PruneConfig",
    "Pruning",
    "attach",
    "compress",
    "one_shot",
]

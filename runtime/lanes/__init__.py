"""Whole samples layer by layer, all steps of a layer at once."""

from runtime.lanes.network import Lanes
from runtime.lanes.plan import TooWideError
from runtime.lanes.support import unsupported

__all__ = ["Lanes", "TooWideError", "unsupported"]

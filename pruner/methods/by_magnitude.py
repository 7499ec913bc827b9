"""Magnitude pruning along a cubic schedule (Zhu and Gupta 2017, arXiv 1710.01878)."""

from pruner.method import Method

_SOURCE = "Han et al. 2015, arXiv 1506.02626; schedule of Zhu and Gupta 2017, arXiv 1710.01878"

GLOBAL = Method(
    source=_SOURCE,
    differs="one ranking over all layers, the readout included",
    keys={"criterion": "magnitude", "allocation": "global"},
)
PER_LAYER = Method(
    source=_SOURCE,
    differs="the same share of every layer, the readout included",
    keys={"criterion": "magnitude", "allocation": "uniform"},
)

"""Iterative magnitude pruning with rewind (Frankle et al. 2020, "Linear Mode Connectivity and the Lottery
Ticket Hypothesis", arXiv 1912.05671; for spiking nets Kim et al. 2022, arXiv 2207.01382)."""

from pruner.method import Begins, Method

LEVELS = 10
"""At 94.4 % weight sparsity a level takes a quarter of the living weights, as the papers do."""

METHOD = Method(
    source="Kim et al. 2022, arXiv 2207.01382; rewind of Frankle et al. 2020, arXiv 1912.05671",
    differs="one run of equal levels: the first trains dense; other sparsities take another share a level",
    keys={
        "criterion": "magnitude",
        "allocation": "global",
        "schedule": "geometric",
        "events": LEVELS,
        "begin": 1 / (LEVELS + 1),
        "end": LEVELS / (LEVELS + 1),
        "rewind": 0.1,
    },
    begins=Begins.UNTRAINED,
)

"""Random pruning: the control that every other method has to beat."""

from pruner.method import Method

RANDOM = Method(
    source="control; as a rival: Liu et al. 2022, arXiv 2202.02643",
    differs="drawn anew at every event of the schedule, not once",
    keys={"criterion": "random"},
)
RANDOM_PER_LAYER = Method(
    source="control, the same share of every layer",
    differs="drawn anew at every event of the schedule, not once",
    keys={"criterion": "random", "allocation": "uniform"},
)

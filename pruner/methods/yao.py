"""Activity times magnitude: what a synapse delivers, with or without its neuron's nearness to threshold."""

from pruner.method import Method

ACTIVITY = Method(
    source="the activity factor of Yao et al. 2023, arXiv 2305.12148, alone",
    differs="presynaptic rate x |w|, gathered over the training steps before each event",
    keys={"criterion": "activity-magnitude"},
)
YAO = Method(
    source="Yao et al. 2023, arXiv 2305.12148",
    differs="the density at the threshold is the kernel estimate (criticality), not a fitted Gaussian; a "
    "batch norm's gain is left out; each layer's densities are divided by their mean",
    keys={"criterion": "criticality-activity"},
)

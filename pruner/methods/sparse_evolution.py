"""SET (Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive sparse
connectivity", arXiv 1707.04780): sparse from the first step, the weakest replaced at random."""

from pruner.method import Begins, Method

METHOD = Method(
    source="Mocanu et al. 2018, arXiv 1707.04780",
    differs="exact counts, weakest by |w| whatever the sign, new weights at 0, no event in the last quarter",
    keys={
        "start": "random",
        "schedule": "constant",
        "criterion": "magnitude",
        "allocation": "erdos-renyi",
        "regenerate": 0.3,
        "regenerate_by": "random",
        "regenerate_from": "all-pruned",
        "regenerate_decay": "constant",
    },
    begins=Begins.UNTRAINED,
)

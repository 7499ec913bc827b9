"""RigL (Evci et al. 2020, "Rigging the Lottery: Making All Tickets Winners", arXiv 1911.11134): sparse
from the first step, the weakest replaced by the dead synapses of the largest gradient."""

from pruner.method import Begins, Method

METHOD = Method(
    source="Evci et al. 2020, arXiv 1911.11134",
    differs="events spread over the first three quarters by number, not every 100 steps",
    keys={
        "start": "random",
        "schedule": "constant",
        "criterion": "magnitude",
        "allocation": "erdos-renyi-kernel",
        "regenerate": 0.3,
        "regenerate_by": "gradient",
        "regenerate_from": "all-pruned",
        "regenerate_decay": "cosine",
    },
    begins=Begins.UNTRAINED,
)

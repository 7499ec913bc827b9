"""The seed's loop: prune by magnitude, rank what was just pruned again, regenerate the more critical.

Chen et al., "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks"
(arXiv 2311.16141). Everything below the abstract is our reading: score, mapping, share and decay. The
controls differ from the method in the regeneration alone.
"""

from pruner.method import Method

_SHARE = 0.3


def _regenerating(by: str, differs: str, source: str = "control of the seed's loop") -> Method:
    return Method(source, differs, {"regenerate": _SHARE, "regenerate_by": by})


_SEED = "Chen et al. 2023, arXiv 2311.16141 (our reading of its abstract)"

M0 = _regenerating("criticality", "the neuron's score alone, ties by |w|", _SEED)
M1 = _regenerating("criticality-magnitude", "spread over weights by |w|", _SEED)
M2 = _regenerating("criticality-activity", "spread over weights by presynaptic rate x |w|", _SEED)
M3 = _regenerating("criticality-gradient", "spread over weights by |dL/dw|", _SEED)
BY_RANDOM = _regenerating("random", "regenerates at random")
BY_GRADIENT = _regenerating("gradient", "regenerates by |dL/dw| alone")
GRANET = Method(
    source="Liu et al. 2021, arXiv 2106.10404 (GraNet)",
    differs="starts dense",
    keys={"regenerate": _SHARE, "regenerate_by": "gradient", "regenerate_from": "all-pruned"},
)

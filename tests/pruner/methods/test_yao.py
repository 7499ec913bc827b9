import pytest
import torch

from pruner.criticality import criticality
from pruner.evidence import Evidence
from pruner.registry import CRITERIA
from trainer.surrogate import Surrogate, SurrogateShape


@pytest.mark.parametrize(("mean", "weight"), [(0.4, 0.05), (0.4, -0.1), (0.9, 0.08)])
def test_the_score_is_the_chance_that_losing_the_weight_flips_a_spike(mean: float, weight: float) -> None:
    # Yao et al.'s argument, counted: a Gaussian membrane, an input that is on three times in ten
    draw = torch.Generator().manual_seed(0)
    count = 400_000
    x = (torch.rand(count, generator=draw) < 0.3).float()
    rest = mean + 0.5 * torch.randn(count, generator=draw)
    u = rest + weight * x
    flipped = float(((u >= 1.0) != (rest >= 1.0)).float().mean())
    kernel = Surrogate(SurrogateShape.TRIANGLE, 0.05)
    one = Evidence(
        torch.tensor([[weight]]),
        torch.Generator(),
        criticality=criticality(u.view(1, -1, 1), torch.ones(1), kernel),
        rate=x.mean().view(1),
    )
    # first order in the weight: 4,000 to 10,000 flips, so 2 % of noise and as much of curvature
    assert float(CRITERIA["criticality-activity"].score(one)) == pytest.approx(flipped, rel=0.06)


def test_the_activity_factor_alone_does_not_see_where_the_membrane_is() -> None:
    weight, rate = torch.tensor([[2.0, -1.0]]), torch.tensor([0.1, 0.4])
    far, near = (
        Evidence(weight, torch.Generator(), criticality=torch.tensor([c]), rate=rate) for c in (0.01, 1.0)
    )
    score = CRITERIA["activity-magnitude"].score
    assert score(far).tolist() == [pytest.approx([0.2, 0.4])]
    assert torch.equal(score(far), score(near))

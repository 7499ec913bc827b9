import torch
import torch.nn.functional as F

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.evidence import Evidence
from pruner.methods.snip import snip
from tests.pruner.nets import events, mlp
from tests.pruner.test_callback import Run


def test_the_score_is_the_change_of_the_loss_that_a_linear_model_feels() -> None:
    # loss = sum(x w): without weight q it changes by exactly |w_q x_q|, which SNIP's first order gives
    x, w = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, 3.0, -4.0]], requires_grad=True)
    F.linear(x, w).sum().backward()  # type: ignore[no-untyped-call]
    found = snip(Evidence(w.detach(), torch.Generator(), gradient=w.grad))
    assert found.tolist() == [[2.0, 3.0, 2.0]]


def test_the_masks_are_those_of_the_first_batch_at_the_first_weights() -> None:
    net, twin = mlp(), mlp()
    (twin(events(twin, seed=0)) - 1.0).square().mean().backward()
    layers = [twin.body[0], twin.body[2]]
    felt = torch.cat([(layer.weight * layer.weight.grad).abs().flatten() for layer in layers])
    run = Run(net, Pruning(PruneConfig.from_table({"method": "snip", "sparsity": 0.7})))
    run.start()
    run.advance(1)
    chosen = torch.cat([mask.flatten() for mask in run.pruning.masks.masks.values()])
    assert int(chosen.sum()) == 24
    assert felt[chosen].min() >= felt[~chosen].max()

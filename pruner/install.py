"""Gives a layer its mask, its refitted weights and, with a quantizer, whole ones."""

from __future__ import annotations

import torch
from torch import Tensor

from pruner.problem import Masks, Problem
from pruner.rounding import round_rows, scale_candidates
from pruner.second_order import by_row, fit
from pruner.topology import Prunable
from trainer.quant import WeightQuantizer


def install(layer: Prunable, problem: Problem, masks: Masks, quantizer: WeightQuantizer | None) -> None:
    """Solve the layer's weights on ``masks``, round them where there is a quantizer, and write them."""
    fits = {key: fit(part, masks[key]).weight for key, part in problem.parts.items()}
    living = {key: by_row(masks[key], part) for key, part in problem.parts.items()}
    alive, weight = torch.cat(list(living.values())), torch.cat(list(fits.values()))
    write(layer, weight, alive)
    if quantizer is None:
        return
    scale, weight = rounded(layer, problem, fits, living, quantizer)
    quantizer.freeze(scale.float())
    write(layer, weight, alive)
    layer.quantizer = quantizer


def alone(quantizer: WeightQuantizer) -> bool:
    """True for a grid that each row may choose for itself."""
    rule, group = quantizer.rule, quantizer.group
    return group is not None and len(group.members) == 1 and rule.anchor is None and not rule.shared


def write(layer: Prunable, weight: Tensor, alive: Tensor) -> None:
    inputs = layer.weight[0].numel()
    layer.set_mask(alive[:, :inputs].reshape(layer.weight.shape))
    layer.weight.copy_((weight * alive)[:, :inputs].reshape(layer.weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(weight[:, inputs])


def rounded(
    layer: Prunable, problem: Problem, fits: Masks, living: Masks, quantizer: WeightQuantizer
) -> tuple[Tensor, Tensor]:
    """The scale per output with the least squared drive error, and the weights on its grid."""
    inputs = layer.weight[0].numel()
    rule, group = quantizer.rule, quantizer.group
    every = torch.cat([weight[:, :inputs] for weight in fits.values()])
    dead = rule.dead.double()
    assert group is not None
    if len(group.members) > 1 or rule.anchor is not None:
        # scales that other layers hang on are the group's to choose
        group.refresh()
        candidates = [quantizer.scale.double()]
    else:
        candidates = scale_candidates(every, rule.width, rule.shared)
    best_loss, best_scale, best_weight = torch.full((len(every),), torch.inf).double(), dead, every
    for candidate in candidates:
        scale = torch.where(candidate > 0, candidate, dead).float().double()
        weights, losses = [], []
        for (key, part), own in zip(problem.parts.items(), scale.chunk(len(problem.parts)), strict=True):
            weights.append(round_rows(part, fits[key], living[key], own, rule.width))
            losses.append(part.loss(weights[-1]))
        loss, weight = torch.cat(losses), torch.cat(weights)
        if rule.shared:
            loss = loss.sum().expand(len(loss))
        better = loss < best_loss
        if best_weight.shape != weight.shape:
            best_weight = torch.zeros_like(weight)
        best_loss = torch.where(better, loss, best_loss)
        best_scale = torch.where(better, scale, best_scale)
        best_weight = torch.where(better[:, None], weight, best_weight)
    return best_scale, best_weight

"""Whole weights on a mask, each rounding error made good by the weights not yet rounded.

Frantar et al. 2023, "GPTQ" (arXiv 2210.17323), algorithm 1, on the living inputs of every row alone; the
scale is searched by the error that is left, and a bias is never rounded but takes the last correction.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pruner.second_order import Batch, Rows, batches, submatrices
from trainer.quant import WeightBits

SCALES = 8
"""Clipping points tried per row below 8 bits."""
LEAST_CLIP = 0.4


def round_rows(rows: Rows, weight: Tensor, mask: Tensor, scale: Tensor, width: WeightBits) -> Tensor:
    """Weights (rows, inputs) on the grid ``scale`` (rows,), dead ones 0, biases corrected."""
    moment, _ = rows.damped
    out = torch.zeros_like(weight)
    for batch in batches(mask):
        ordered = _strong_first(batch, moment, rows.fixed)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(submatrices(moment, ordered)))
        upper = torch.linalg.cholesky(inverse, upper=True)
        w = weight[batch.groups].gather(1, ordered.index) * ordered.real
        free = ordered.index >= len(moment) - rows.fixed
        w = _round_batch(w, upper, scale[batch.groups], free, width)
        full = torch.zeros(len(w), len(moment), dtype=w.dtype)
        out[batch.groups] = full.scatter_(1, ordered.index, w * ordered.real)
    return out


def _strong_first(batch: Batch, moment: Tensor, fixed: int) -> Batch:
    """Busiest inputs first, biases last of the living (GPTQ's activation order)."""
    size = moment.diagonal()[batch.index]
    size = size.masked_fill(batch.index >= len(moment) - fixed, -1.0).masked_fill(~batch.real, -2.0)
    order = torch.argsort(size, dim=1, descending=True, stable=True)
    return replace(batch, index=batch.index.gather(1, order), real=batch.real.gather(1, order))


def _round_batch(w: Tensor, upper: Tensor, scale: Tensor, free: Tensor, width: WeightBits) -> Tensor:
    w = w.clone()
    for j in range(w.shape[1]):
        whole = torch.round(w[:, j] / scale).clamp(width.lowest, width.highest)
        on_grid = torch.where(free[:, j], w[:, j], whole * scale)
        error = (w[:, j] - on_grid) / upper[:, j, j]
        w[:, j] = on_grid
        w[:, j + 1 :] -= error[:, None] * upper[:, j, j + 1 :]
    return w


def scale_candidates(weight: Tensor, width: WeightBits, shared: bool) -> list[Tensor]:
    """Scales (rows,) to try for weights (rows, inputs) without biases; 0 where a row is empty."""
    peak = weight.abs().amax(1)
    if shared:
        peak = peak.max().expand(len(peak))
    top = peak / min(-width.lowest, width.highest)
    if width is WeightBits.INT8:
        return [top]
    return [top * part for part in torch.linspace(LEAST_CLIP, 1.0, SCALES).tolist()]

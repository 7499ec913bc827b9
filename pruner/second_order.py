"""Optimal-brain-surgeon pruning of many least-squares rows at once: saliencies, survivors, rounds.

Every output ``i`` of a layer minimizes ``w A w - 2 w r_i`` over its living weights, where ``A`` is the
second moment of the presynaptic trace and ``r_i`` its cross moment with the drive to reproduce. Removing
weight ``q`` raises that by ``w_q^2 / [A^-1]_qq`` when the survivors are refitted (Hassibi and Stork 1993,
section 3; with the membrane's decay in the trace: SBC, arXiv 2506.03996). Where we differ: many weights
go in one round, after which the survivors are solved for anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruner.allocation import UNAVAILABLE, best

CHUNK_ELEMENTS = 1 << 23
"""Matrix elements factored at once: 64 MB of float64."""
NEVER = torch.inf
"""Saliency of what is never removed."""
LEAST_ACTIVITY = 0.01
"""Inputs that are heard less often cost as much as if they were: nothing is divided by almost 0."""
LAST = 1e30
"""Saliency of what goes last of all that can go."""


@dataclass(frozen=True)
class Rows:
    """Least-squares rows that share one second moment, in groups of ``block`` rows that share a mask.

    ``moment`` (inputs, inputs); ``target`` and ``start`` (rows, inputs): the cross moment, and the weights
    that the damping pulls to. ``importance`` (rows,) multiplies saliencies. The last ``fixed`` inputs
    always stay. ``damping`` is added to the moment's diagonal.
    """

    moment: Tensor
    target: Tensor
    start: Tensor
    importance: Tensor
    fixed: int = 0
    damping: float = 0.0
    block: int = 1
    activity: Tensor | None = None
    """Share of steps at which each input (inputs,) is not zero, where it was counted."""

    @property
    def groups(self) -> int:
        """Groups of rows that share a mask; the last may have fewer rows than ``block``."""
        return -(-len(self.target) // self.block)

    def to(self, dtype: torch.dtype) -> Rows:
        """The same problem in another precision."""
        parts = {name: getattr(self, name).to(dtype) for name in ("moment", "target", "start", "importance")}
        return replace(self, **parts)

    @property
    def damped(self) -> tuple[Tensor, Tensor]:
        """Moment and targets with the damping, which the bias has no part in."""
        ridge = torch.full((len(self.moment),), self.damping, dtype=self.moment.dtype)
        if self.fixed:
            ridge[-self.fixed :] = 0.0
            # a bias whose trace is a combination of others must not make the moment singular
            ridge[-self.fixed :] = 1e-9 * self.moment.diagonal()[-self.fixed :] + 1e-30
        return self.moment + torch.diag(ridge), self.target + self.start * ridge

    def loss(self, weight: Tensor) -> Tensor:
        """What each row's squared drive error exceeds a constant by: (rows,)."""
        return ((weight @ self.moment - 2 * self.target) * weight).sum(1)


@dataclass(frozen=True)
class Fit:
    """Optimal weights (rows, inputs), 0 where dead, and saliencies (groups, inputs) per weight."""

    weight: Tensor
    saliency: Tensor


@dataclass(frozen=True)
class Batch:
    """Row groups of like size: their numbers (n,), living inputs (n, most) padded with input 0, and which
    places are no padding (n, most)."""

    groups: Tensor
    index: Tensor
    real: Tensor


def batches(mask: Tensor) -> Iterator[Batch]:
    """Split the groups of ``mask`` (groups, inputs) by the number of living inputs, few to many."""
    counts = mask.sum(1)
    order = torch.argsort(counts, stable=True)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * int(counts[order[stop]]) ** 2 <= CHUNK_ELEMENTS:
            stop += 1
        groups = order[start:stop]
        most = max(1, int(counts[groups[-1]]))
        # stable: living inputs first, each part in its order, so that fixed inputs come last of the living
        index = torch.argsort(mask[groups].int(), dim=1, descending=True, stable=True)[:, :most]
        real = torch.arange(most)[None] < counts[groups][:, None]
        yield Batch(groups, index, real)
        start = stop


def submatrices(moment: Tensor, batch: Batch) -> Tensor:
    """Moments (n, most, most) between living inputs; padding is an identity."""
    found = moment[batch.index[:, :, None], batch.index[:, None, :]]
    both = batch.real[:, :, None] & batch.real[:, None, :]
    found.masked_fill_(~both, 0.0)
    found.diagonal(dim1=1, dim2=2).add_((~batch.real).to(found.dtype))
    return found


def fit(rows: Rows, mask: Tensor) -> Fit:
    """Solve every row on its living inputs; ``mask`` is (groups, inputs)."""
    moment, target = rows.damped
    block = rows.block
    weight = torch.zeros_like(target)
    saliency = torch.full(mask.shape, UNAVAILABLE, dtype=target.dtype)
    importance = rows.importance.to(target.dtype)
    if bool((mask == mask[:1]).all()):
        chunks: Iterator[Batch] = iter([_common(mask)])
    else:
        chunks = batches(mask)
    for batch in chunks:
        lower = torch.linalg.cholesky(submatrices(moment, _first(batch)))
        inverse = torch.cholesky_inverse(lower).diagonal(dim1=1, dim2=2)
        members, there = _members(batch.groups, block, len(target))
        wanted = target[members].gather(2, batch.index[:, None, :].expand(-1, block, -1))
        wanted = wanted * batch.real[:, None, :] * there[:, :, None]
        solved = _solve(lower, wanted)
        lost = (solved.square() * (importance[members] * there)[:, :, None]).sum(1) / inverse
        lost = lost / there.sum(1, keepdim=True)
        saliency[batch.groups] = _spread(lost, batch, mask.shape[1], UNAVAILABLE)
        full = _spread(solved, batch, mask.shape[1], 0.0)
        weight[members[there]] = full[there]
    if rows.fixed:
        saliency[:, -rows.fixed :].masked_fill_(mask[:, -rows.fixed :], NEVER)
    return Fit(weight, saliency)


def _common(mask: Tensor) -> Batch:
    """All groups as one batch of one shared mask."""
    alive = mask[0].nonzero()[:, 0]
    if not len(alive):
        alive = torch.zeros(1, dtype=torch.int64)
    shape = (len(mask), len(alive))
    real = mask[0][alive].expand(shape)
    return Batch(torch.arange(len(mask)), alive.expand(shape), real)


def _first(batch: Batch) -> Batch:
    """One group in place of many that share their mask (an expanded index)."""
    if batch.index.stride(0) == 0:
        return Batch(batch.groups[:1], batch.index[:1], batch.real[:1])
    return batch


def _members(groups: Tensor, block: int, rows: int) -> tuple[Tensor, Tensor]:
    """Row numbers (n, block) of the groups, and which of them exist."""
    members = groups[:, None] * block + torch.arange(block)
    there = members < rows
    return members.clamp(max=rows - 1), there


def _solve(lower: Tensor, wanted: Tensor) -> Tensor:
    """Solutions (n, block, most) by Cholesky factors (n or 1, most, most)."""
    if len(lower) == 1:
        flat = wanted.reshape(-1, wanted.shape[2]).T
        return torch.cholesky_solve(flat, lower[0]).T.reshape(wanted.shape)
    return torch.cholesky_solve(wanted.transpose(1, 2), lower).transpose(1, 2)


def _spread(values: Tensor, batch: Batch, inputs: int, empty: float) -> Tensor:
    """Values (n, [block,] most) of living inputs back at their places (n, [block,] inputs)."""
    full = torch.full((*values.shape[:-1], inputs), empty, dtype=values.dtype)
    index, real = batch.index, batch.real
    if values.dim() == 3:
        index, real = (t[:, None, :].expand(values.shape) for t in (index, real))
    # padding points at dead inputs, so writing the empty value there changes nothing
    return full.scatter_(2 if values.dim() == 3 else 1, index, values.masked_fill(~real, empty))


def strongest(saliency: Mapping[str, Tensor], sizes: Mapping[str, Tensor], keep: int) -> dict[str, Tensor]:
    """Masks of the living entries of highest saliency whose ``sizes`` (weights each) sum to at most ``keep``.

    Ties go by order; a saliency of minus infinity is dead and stays so.
    """
    names = list(saliency)
    flat = torch.cat([saliency[name].flatten() for name in names])
    size = torch.cat([sizes[name].expand_as(saliency[name]).flatten() for name in names])
    order = best(flat, len(flat))
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[order[(size[order].cumsum(0) <= keep) & (flat[order] > UNAVAILABLE)]] = True
    parts = torch.split(chosen, [saliency[name].numel() for name in names])
    return {name: part.view_as(saliency[name]) for name, part in zip(names, parts, strict=True)}


def priced(saliency: Tensor, rows: Rows, price: float) -> Tensor:
    """Saliencies (groups, inputs) over a power of the additions that each weight costs a step."""
    if rows.activity is None or price == 0.0:
        return saliency
    return saliency / rows.activity.clamp_min(LEAST_ACTIVITY).pow(price).to(saliency.dtype)


def lamp_like(saliency: Tensor) -> Tensor:
    """Each saliency over the sum of all in its layer that are not smaller (Lee et al. 2021, "Layer-adaptive
    sparsity for the magnitude-based pruning", with the surgeon's saliency in place of the square)."""
    flat = saliency.flatten().double()
    order = torch.argsort(flat, descending=True, stable=True)
    ranked = torch.where((flat[order] > UNAVAILABLE) & (flat[order] < NEVER), flat[order], 0.0)
    scores = torch.empty_like(flat)
    scores[order] = ranked / ranked.cumsum(0).clamp_min(1e-300)
    scores = torch.where((flat > UNAVAILABLE) & (flat < NEVER), scores, flat)
    return scores.view_as(saliency)


def with_best_first(saliency: Tensor) -> Tensor:
    """The saliencies with the highest raised above all others, so that a part never empties."""
    raised = saliency.clone().view(-1)
    highest = raised.masked_fill(raised == NEVER, UNAVAILABLE).argmax()
    if raised[highest] > UNAVAILABLE:
        raised[highest] = LAST
    return raised.view_as(saliency)


def sizes_of(rows: Rows) -> Tensor:
    """Weights of each entry of a group mask (groups, inputs); biases count nothing."""
    height = torch.full((rows.groups, 1), rows.block)
    height[-1] = len(rows.target) - rows.block * (rows.groups - 1)
    sizes = height.expand(rows.groups, len(rows.moment)).clone()
    if rows.fixed:
        sizes[:, -rows.fixed :] = 0
    return sizes


def by_row(mask: Tensor, rows: Rows) -> Tensor:
    """A group mask (groups, inputs) as (rows, inputs)."""
    return mask.repeat_interleave(rows.block, 0)[: len(rows.target)]

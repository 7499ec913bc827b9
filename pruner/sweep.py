"""Guarded sweeps over hidden neurons: each is refitted, and trades inputs, for what its consumer hears.

A neuron's fan-in is solved anew by Gauss and Newton's step on the residue of the consumer's drive: the rows
are its presynaptic traces times the surrogate derivative at its membrane. That derivative's mean is the
seed's criticality, so this is its Hessian: a synapse counts by how often it acts on a membrane near the
threshold. Inputs pulled hardest by the residue are taken in for those of least saliency. The neuron is then
run, and a change stays only if the residue over the calibration samples falls: regeneration with an
acceptance test. No labels are used, and no gradient step is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import torch
from torch import Tensor

from pruner.heard import Heard, Slopes
from pruner.rounding import round_rows, scale_candidates
from pruner.second_order import NEVER, Rows, fit
from pruner.unit import Unit
from trainer.quant import WeightBits

CHUNK = 32
"""Neurons whose pulls are worked out together; the residue they see is that old at most."""
STEPS = (1.0, 0.5, 0.25)
"""Shares of the solved step that are tried in turn."""


class RegenerateBy(Enum):
    """What ranks the dead inputs that may come back; the last three are controls of the first."""

    CRITICALITY_GRADIENT = "criticality-gradient"
    GRADIENT = "gradient"
    RANDOM = "random"
    NONE = "none"


@dataclass(frozen=True)
class Rules:
    """How a sweep works. ``swap`` is the share of a fan-in that may be traded at once."""

    swap: float = 0.1
    by: RegenerateBy = RegenerateBy.CRITICALITY_GRADIENT
    damping: float = 0.01
    block: int = 1
    seed: int = 0


@dataclass
class Hidden:
    """A population between its producer and its consumer, over the calibration samples.

    ``weight`` and ``mask`` (neurons, inputs [+ 1 for the bias]); ``forward`` (outputs, neurons [+ 1]) are
    the consumer's weights on ``hears`` (boolean, same shape), ``wanted`` (outputs, rows, samples) the drive
    to reproduce, every output times the root of its importance. ``start`` is what refits are damped to.
    """

    heard: Heard
    units: list[Unit]
    weight: Tensor
    mask: Tensor
    fixed: int
    forward: Tensor
    hears: Tensor
    wanted: Tensor
    start: Tensor
    constant: Tensor | None = None
    """(rows,) trace of the consumer's bias where it has one."""
    weigh: Tensor | None = None
    """(samples,) factor of each sample's residue; ``wanted`` comes without it."""
    accepted: int = 0
    swapped: int = 0
    residue: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.weighed(self.wanted)
        self.residue = self.wanted - self._drive(self.answers())

    @property
    def loss(self) -> float:
        """Squared residue relative to the drive's variance over samples."""
        spread = (self.wanted - self.wanted.mean(2, keepdim=True)).square().sum()
        return float(self.residue.double().square().sum() / spread.double().clamp_min(1e-30))

    def answer(self, number: int) -> Tensor:
        """What the consumer reads of one neuron as it is: (rows, samples)."""
        alive = self.mask[number].nonzero()[:, 0]
        return self.answer_of(number, alive, self.weight[number, alive])

    def answer_of(self, number: int, index: Tensor, weight: Tensor) -> Tensor:
        """What it would read of a neuron with weights (n,) on inputs ``index`` (n,)."""
        return self.weighed(self.units[number].answer(self.heard.current(index, weight)))

    def slopes(self, number: int) -> Slopes:
        """Slopes of one neuron at its latest answer."""
        found = self.units[number].slopes()
        return replace(found, near=self.weighed(found.near))

    def weighed(self, values: Tensor) -> Tensor:
        """Values (..., samples), each as much as its sample counts."""
        return values if self.weigh is None else values * self.weigh

    def answers(self) -> Tensor:
        """(neurons [+ 1], rows, samples)."""
        found = [self.answer(number) for number in range(len(self.units))]
        if self.constant is not None:
            found.append(self.weighed(self.constant[:, None].expand_as(found[0])))
        return torch.stack(found)

    def _drive(self, answers: Tensor) -> Tensor:
        return torch.einsum("ou,urb->orb", self.forward, answers)

    def refit_forward(self, damping: float) -> None:
        """Solve the consumer's weights for the neurons as they are now."""
        answers = self.answers()
        flat, wanted = answers.flatten(1), self.wanted.flatten(1)
        n = flat.shape[1]
        moment, cross = (flat @ flat.T).double() / n, (wanted @ flat.T).double() / n
        fixed = int(self.constant is not None)
        living = moment.diagonal()[: len(moment) - fixed]
        level = damping * float(living.mean()) + 1e-12
        rows = Rows(moment, cross, self.start.double(), torch.ones(len(cross)), fixed, level)
        self.forward = fit(rows, self.hears).weight.float()
        self.residue = self.wanted - self._drive(answers)


def sweep(hidden: Hidden, rules: Rules, number: int = 0) -> None:
    """Visit every group of ``rules.block`` neurons once, in a random order; the first sweep only refits."""
    generator = torch.Generator().manual_seed(rules.seed * 1_009 + number)
    count = -(-len(hidden.units) // rules.block)
    groups = [
        list(range(g * rules.block, min((g + 1) * rules.block, len(hidden.units))))
        for g in torch.randperm(count, generator=generator).tolist()
    ]
    swaps = rules.swap > 0 and rules.by is not RegenerateBy.NONE and number > 0
    size = max(1, CHUNK // rules.block)
    for start in range(0, count, size):
        chunk = [g for g in groups[start : start + size] if _worth(hidden, g)]
        pulls = _pulls(hidden, chunk, rules, generator) if swaps and chunk else [None] * len(chunk)
        for group, pull in zip(chunk, pulls, strict=True):
            _visit(hidden, group, pull, rules)


def _worth(hidden: Hidden, group: list[int]) -> bool:
    """True where a neuron of the group has inputs and is heard."""
    return bool(hidden.mask[group].any()) and bool((hidden.forward[:, group] != 0).any())


def _pulls(hidden: Hidden, groups: list[list[int]], rules: Rules, generator: torch.Generator) -> list[Tensor]:
    """For each group (inputs,): how much a dead input promises; -1 for those that cannot come."""
    barred = torch.stack([hidden.mask[group].any(0) for group in groups])
    if hidden.fixed:
        barred[:, -hidden.fixed :] = True
    if rules.by is RegenerateBy.RANDOM:
        pulls = torch.rand(barred.shape, generator=generator)
    else:
        each = _each_pull(hidden, [number for group in groups for number in group], rules)
        pulls = torch.stack([part.sum(0) for part in torch.split(each, [len(group) for group in groups])])
    return list(pulls.masked_fill(barred, -1.0))


def _each_pull(hidden: Hidden, numbers: list[int], rules: Rules) -> Tensor:
    """(neurons, inputs)."""
    slopes: list[Slopes] = []
    for number in numbers:
        hidden.answer(number)
        found = hidden.slopes(number)
        if rules.by is RegenerateBy.GRADIENT:
            found = replace(found, near=hidden.weighed(torch.ones_like(found.near)))
        slopes.append(found)
    return hidden.heard.pull(slopes, torch.stack([_seen(hidden, number) for number in numbers]))


def _seen(hidden: Hidden, number: int) -> Tensor:
    """The residue as one neuron could act on it: (rows, samples)."""
    return torch.einsum("o,orb->rb", hidden.forward[:, number], hidden.residue)


def _visit(hidden: Hidden, group: list[int], pull: Tensor | None, rules: Rules) -> None:
    living = hidden.mask[group[0]].nonzero()[:, 0]
    if pull is not None:
        room = int((pull >= 0).sum())
        count = min(room, max(1, int(rules.swap * len(living))))
        if count and _swap(hidden, group, (living, pull.topk(count).indices), rules):
            hidden.accepted += 1
            return
    moved = [_move(hidden, number, living, rules) for number in group]
    hidden.accepted += int(any(moved))


def _normal(hidden: Hidden, number: int, index: Tensor, rules: Rules) -> tuple[Tensor, Tensor]:
    """Damped normal equations of a change of one neuron's weights."""
    size = float(hidden.forward[:, number].square().sum())
    moment, along = hidden.heard.normal(index, hidden.slopes(number), _seen(hidden, number))
    moment = moment.double() * size
    ridge = rules.damping * float(moment.diagonal().mean()) + 1e-12
    return moment + ridge * torch.eye(len(moment), dtype=torch.float64), along.double()


def _change(hidden: Hidden, number: int, before: Tensor, after: Tensor) -> float:
    """What the squared residue changes by when a neuron's answer does."""
    change = after - before
    size = hidden.forward[:, number].square().sum()
    return float(size * change.square().sum() - 2 * (change * _seen(hidden, number)).sum())


def _take(hidden: Hidden, number: int, before: Tensor, after: Tensor) -> None:
    hidden.residue -= hidden.forward[:, number, None, None] * (after - before)


def _move(hidden: Hidden, number: int, living: Tensor, rules: Rules) -> bool:
    """Refit one neuron on its living inputs, if that helps."""
    if not len(living) or not bool((hidden.forward[:, number] != 0).any()):
        return False
    old = hidden.weight[number, living]
    before = hidden.answer(number)
    moment, along = _normal(hidden, number, living, rules)
    step = torch.linalg.solve(moment, along).float()
    for share in STEPS:
        new = old + share * step
        after = hidden.answer_of(number, living, new)
        if _change(hidden, number, before, after) < 0:
            hidden.weight[number, living] = new
            _take(hidden, number, before, after)
            return True
    return False


def _swap(hidden: Hidden, group: list[int], inputs: tuple[Tensor, Tensor], rules: Rules) -> bool:
    """Let new inputs in for as many of the least salient, the group together; undone unless that helps."""
    living, new = inputs
    index = torch.cat([living, new])
    saved = hidden.weight[group].clone(), hidden.mask[group].clone(), hidden.residue.clone()
    before = {number: hidden.answer(number) for number in group}
    saliency = torch.zeros(len(index), dtype=torch.float64)
    moment = along = torch.zeros(())
    for number in group:
        hidden.answer(number)
        moment, along = _normal(hidden, number, index, rules)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(moment))
        weight = hidden.weight[number, index].double() + inverse @ along
        saliency += weight.square() / inverse.diagonal()
    if hidden.fixed:
        saliency[index >= hidden.weight.shape[1] - hidden.fixed] = NEVER
    keep = torch.zeros(len(index), dtype=torch.bool)
    keep[saliency.topk(len(living)).indices] = True
    for share in STEPS:
        change = 0.0
        for number in group:
            if len(group) > 1:
                # the neurons before it have changed the residue
                hidden.answer(number)
                moment, along = _normal(hidden, number, index, rules)
            step = _step(moment, along, keep, hidden.weight[number, index])
            _trade(hidden, number, (index, keep), share * step)
            after = hidden.answer(number)
            change += _change(hidden, number, before[number], after)
            _take(hidden, number, before[number], after)
        if change < 0:
            hidden.swapped += int((~keep[: len(living)]).sum())
            return True
        hidden.weight[group], hidden.mask[group], hidden.residue = (part.clone() for part in saved)
    return False


def _step(moment: Tensor, along: Tensor, keep: Tensor, old: Tensor) -> Tensor:
    """The change of kept weights that is best once the others are gone."""
    old = old.double()
    right = along[keep] + moment[keep][:, ~keep] @ old[~keep]
    found: Tensor = torch.linalg.solve(moment[keep][:, keep], right)
    return found.float()


def _trade(hidden: Hidden, number: int, inputs: tuple[Tensor, Tensor], step: Tensor) -> None:
    """Drop what is not kept and move the rest by a step."""
    index, keep = inputs
    hidden.weight[number, index] = torch.where(keep, hidden.weight[number, index], 0.0)
    hidden.weight[number, index[keep]] += step
    hidden.mask[number] = False
    hidden.mask[number, index[keep]] = True


def round_sweep(hidden: Hidden, width: WeightBits, rules: Rules) -> Tensor:
    """Round every neuron's weights in turn, each by its own second moment, and return their scales.

    What rounding one does to the consumer's drive is left to those that follow. A neuron without weights
    gets scale 0.
    """
    scales = torch.zeros(len(hidden.units), dtype=torch.float64)
    for number in range(len(hidden.units)):
        living = hidden.mask[number].nonzero()[:, 0]
        if len(living) > hidden.fixed:
            scales[number] = _round(hidden, number, living, width, rules)
    return scales


def _round(hidden: Hidden, number: int, living: Tensor, width: WeightBits, rules: Rules) -> float:
    before = hidden.answer(number)
    old = hidden.weight[number, living].double()
    if bool((hidden.forward[:, number] != 0).any()):
        moment, along = _normal(hidden, number, living, rules)
    else:
        moment, along = torch.eye(len(living), dtype=torch.float64), torch.zeros(len(living)).double()
    wanted = old + torch.linalg.solve(moment, along)
    fixed = hidden.fixed
    candidates = []
    for target in (wanted, old):
        flat = target[None, : len(target) - fixed] if fixed else target[None]
        found = scale_candidates(flat, width, shared=False)
        candidates += [(float(scale), target) for scale in found if float(scale) > 0]
    # kept as float32: that is how the quantizer will hold it
    scale = torch.tensor([s for s, _ in candidates]).float().double()
    weight = torch.stack([target for _, target in candidates])
    rows = Rows(moment, weight @ moment, weight, torch.ones(len(weight)), fixed)
    rounded = round_rows(rows, weight, torch.ones_like(weight, dtype=torch.bool), scale, width).float()
    answers = [hidden.answer_of(number, living, one) for one in rounded]
    changes = [_change(hidden, number, before, after) for after in answers]
    best = min(range(len(changes)), key=changes.__getitem__)
    hidden.weight[number, living] = rounded[best]
    _take(hidden, number, before, answers[best])
    return float(scale[best])

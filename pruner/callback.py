"""``Pruning``: hooks prune-then-regenerate events into a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruner.allocation import choose
from pruner.config import PruneConfig, Start
from pruner.evidence import Evidence, Need
from pruner.gauges import Gauges
from pruner.ledger import Ledger
from pruner.log import EventRecord, When, read, record_of, write
from pruner.mask import MaskSet
from pruner.registry import ALLOCATIONS, CRITERIA, KERNELS, NO_SEARCH, NORMALIZATIONS, SEARCHES, SURROGATE
from pruner.regrow import Masks, Outcome, Value, prune_then_regenerate
from pruner.rewind import Rewind
from pruner.search import Search
from pruner.sounding import sound
from pruner.subject import NetSubject, Subject
from runtime.errors import ConfigError, ModelError
from trainer import distributed
from trainer.callbacks import Callback, State
from trainer.config import Keep
from trainer.evaluate import Labeled
from trainer.models import SpikingNet


class Pruning(Callback):
    """Prunes a network while it trains, by a ``PruneConfig``; ``masks`` hold from the first step on.

    Events happen after the optimiser's step. When a rule needs gradients of dead synapses, the masks
    are open in that step's forward pass, so that no extra backward pass is made. ``log`` takes one JSON
    line an event; ``events`` keeps the same records.
    """

    def __init__(self, config: PruneConfig, log: Path | None = None, samples: Labeled | None = None) -> None:
        """``samples`` are validation samples that the net is looked at on after each event, for the log."""
        self.config = config
        self._samples = samples
        self._ledger = Ledger()
        self.log = log
        self.events: list[EventRecord] = []
        self.masks: MaskSet
        self._subject: Subject
        self._plan = config.plan()
        self._seed = config.seed
        self._event_of_step: dict[int, int] = {}
        self._meters: Gauges | None = None
        self._gradients: dict[str, Tensor] = {}
        self._weights_then: dict[str, Tensor] = {}
        self._rewind: Rewind | None = None
        self._search: Search | None = None
        self._opener: RemovableHandle | None = None
        self._recalled: Mapping[str, Sequence[float]] = {}
        self._kept = ""
        self._hidden = ""

    def start(self, state: State) -> None:
        """Take over the masks the network has. Raises ConfigError if the plan does not fit the run."""
        if state.config.train.keep is Keep.BEST:
            # the best epoch is one of an earlier, denser time
            raise ConfigError("train.keep: found 'best' in a run that prunes, expected 'last'")
        self._ledger.begin(state.config.train.batch_size, state.step)
        self.begin(NetSubject(state.net), state.total_steps, state.step, state.config.train.seed)
        state.course = self.course(state.step)

    def begin(self, subject: Subject, total_steps: int, step: int = 0, seed: int = 0) -> None:
        """Take over a network at ``step`` of a run; ConfigError if the plan does not fit the run."""
        steps = self._plan.steps(total_steps)
        self._event_of_step = {step: event for event, step in enumerate(steps, start=1)}
        self._subject = subject
        self.masks = MaskSet(subject.layers, protected_layers(subject, self.config))
        check_budget(self.masks, self.config)
        self.masks.close()
        self._seed = self.config.seed + seed
        if self.config.start is Start.RANDOM and step == 0:
            self.masks.set(self._random_masks())
        if self.config.search != NO_SEARCH and step <= steps[-1]:
            self._search = self._begin_search()
        if self.config.rewind is not None:
            self._rewind = Rewind(self.config.rewind, steps, total_steps)
            self._rewind.recall(self._kept)
            self._rewind.reach(subject.module, step)
        self._prepare(step)

    def after_backward(self, state: State) -> None:
        """Keep the dense gradients an event needs, then mask them."""
        self.take_gradients()

    def take_gradients(self) -> None:
        """What is done between backward pass and optimiser step."""
        if self._search is not None:
            self._search.latent.before_step()
            return
        if self._opener is None:
            self.masks.zero()
            return
        self._opener.remove()
        self._opener = None
        for name in self.masks.free:
            gradient = self.masks.layers[name].weight.grad
            if gradient is None:
                raise ModelError(
                    f"layer {name!r}: found no gradient at a pruning event, expected a backward pass"
                )
            self._gradients[name] = gradient.detach().clone().cpu()
            self._weights_then[name] = self.masks.layers[name].weight.detach().clone().cpu()
        self.masks.close()

    def after_step(self, state: State) -> None:
        """Hold the masks, and run the event that falls on this step."""
        self.advance(state.optimizer, state.step, state.epoch)
        state.course = self.course(state.step + 1)

    def advance(self, optimizer: torch.optim.Optimizer, step: int, epoch: int = 0) -> None:
        """What is done after optimiser step number ``step``."""
        self._ledger.reach(step)
        event = self._event_of_step.get(step)
        if self._search is not None:
            self._advance_search(self._search, When(event or 0, step, epoch), optimizer)
            return
        self.masks.hold(optimizer)
        if event is not None:
            self._run(When(event, step, epoch), optimizer)
        if self._rewind is not None:
            self._rewind.reach(self._subject.module, step + 1)
            if event is not None:
                self._rewind.back(self._subject.module, optimizer)
                self.masks.zero()
        self._prepare(step + 1)

    def course(self, step: int) -> tuple[int, int] | None:
        """Steps (first, end) over which the learning rate runs its course at ``step``; None: the run."""
        return None if self._rewind is None else self._rewind.course(step)

    def memory(self) -> Mapping[str, Any]:
        """Events so far and what was measured for the next one; the masks are in the network."""
        measured = {} if self._meters is None else self._meters.memory()
        kept = "" if self._rewind is None else self._rewind.memory()
        hidden = "" if self._search is None else self._search.latent.memory()
        events = [asdict(record) for record in self.events]
        spent = asdict(self._ledger.spent)
        return {"events": events, "measured": measured, "kept": kept, "hidden": hidden, "spent": spent}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from ``memory``."""
        self.events = [read(values) for values in memory["events"]]
        self._recalled = memory["measured"]
        self._ledger.recall(memory.get("spent", {}))
        self._kept = memory.get("kept", "")
        self._hidden = memory.get("hidden", "")

    def _prepare(self, step: int) -> None:
        """Make the coming forward pass measure what the next event needs."""
        needs = self.config.needs()
        if step in self._event_of_step and Need.GRADIENT in needs:
            self._opener = self._subject.module.register_forward_pre_hook(self._open)
        due = any(event in self._event_of_step for event in range(step, step + self.config.gather_steps))
        if due and self._meters is None and needs & {Need.ACTIVITY, Need.CRITICALITY}:
            shape = None if self.config.kernel == SURROGATE else KERNELS[self.config.kernel]
            self._meters = self._subject.gauges(shape, self.config.bandwidth)
            self._meters.recall(self._recalled)
        self._recalled = {}

    def _open(self, net: nn.Module, inputs: object) -> None:
        if net.training:
            self.masks.open()

    def _run(self, when: When, optimizer: torch.optim.Optimizer) -> None:
        before = dict(self.masks.masks)
        keep, regenerate = self._counts(when.event)
        free = {name: before[name] for name in self.masks.free}
        evidence = self._evidence(when.event)
        outcome = prune_then_regenerate(evidence, free, keep, regenerate, self.config.rules())
        check_readouts(outcome.masks, self._subject.readouts)
        check_layers(outcome.masks)
        self._apply(outcome, optimizer)
        self._log(before, outcome.regenerated, when)

    def _begin_search(self) -> Search:
        latent = SEARCHES[self.config.search]({name: self.masks.layers[name] for name in self.masks.free})
        latent.recall(self._hidden)
        latent.begin()
        self.masks.open()
        plan = {s: kept(self.masks, self._plan.sparsity(e)) for s, e in self._event_of_step.items()}
        return Search(latent, plan)

    def _advance_search(self, search: Search, when: When, optimizer: torch.optim.Optimizer) -> None:
        """What is done after a step of a search; the last one cuts the masks, which then stay."""
        before = dict(self.masks.masks)
        over = search.reach(when.step, optimizer)
        self.masks.note(search.latent.living())
        if over:
            keep = kept(self.masks, self._plan.sparsity(when.event))
            chosen = choose(search.scores(), keep, ALLOCATIONS[self.config.allocation])
            check_readouts(chosen, self._subject.readouts)
            check_layers(chosen)
            self.masks.set(chosen)
            self.masks.hold(optimizer)
            self._search = None
        if when.event:
            self._log(before, {}, when)

    def _log(self, before: Mapping[str, Tensor], regenerated: Masks, when: When) -> None:
        module, sounding = self._subject.module, None
        if self._samples is not None and isinstance(module, SpikingNet):
            sounding = sound(module, self._samples)
            self._ledger.look(sounding.samples)
        spent = self._ledger.spent
        self.events.append(record_of(self.masks, before, regenerated, when, spent=spent, sounding=sounding))
        if self.log is not None and distributed.is_leader():
            write(self.log, self.events)

    def _counts(self, event: int) -> tuple[int, int]:
        """Synapses to keep in the free layers, and how many of them to choose anew."""
        living = sum(self.masks.living(name) for name in self.masks.free)
        keep = min(living, kept(self.masks, self._plan.sparsity(event)))
        return keep, round(self._plan.regenerated(event) * keep)

    def _evidence(self, event: int) -> dict[str, Evidence]:
        meters, self._meters = self._meters, None
        if meters is not None:
            meters.remove()
            meters.unite()
        gradients, self._gradients = self._gradients, {}
        then, self._weights_then = self._weights_then, {}
        normalize = NORMALIZATIONS[self.config.normalization]
        generator = self._generator(event)
        evidence = {}
        for name in self.masks.free:
            layer = self.masks.layers[name]
            evidence[name] = Evidence(
                weight=layer.weight.detach().cpu(),
                generator=generator,
                gradient=gradients.get(name),
                weight_then=then.get(name),
                criticality=None if meters is None else meters.criticality(name, normalize),
                rate=None if meters is None else meters.rate(name),
                groups=getattr(layer, "groups", 1),
            )
        return evidence

    def _generator(self, event: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed * 100_003 + event)

    def _random_masks(self) -> Masks:
        """Masks of the free layers at the schedule's first sparsity, drawn at random."""
        generator = self._generator(0)
        layers = {name: self.masks.layers[name] for name in self.masks.free}
        scores = {
            name: CRITERIA["random"].score(Evidence(layer.weight.detach().cpu(), generator))
            for name, layer in layers.items()
        }
        keep = kept(self.masks, self._plan.sparsity(0))
        return choose(scores, keep, ALLOCATIONS[self.config.allocation])

    def _apply(self, outcome: Outcome, optimizer: torch.optim.Optimizer) -> None:
        past: Masks | None = None
        if self.config.regenerate_value is Value.ZERO:
            past = {name: mask & ~outcome.regenerated[name] for name, mask in outcome.masks.items()}
            for name, regenerated in outcome.regenerated.items():
                weight = self.masks.layers[name].weight.detach()
                weight.masked_fill_(regenerated.to(weight.device), 0.0)
        self.masks.set(outcome.masks)
        self.masks.hold(optimizer, past)


def protected_layers(subject: Subject, config: PruneConfig) -> frozenset[str]:
    """Layers the configuration keeps whole."""
    return frozenset(config.protect) | (subject.readouts if config.protect_readout else frozenset())


def check_readouts(masks: Masks, readouts: frozenset[str]) -> None:
    """Raise ModelError for masks that leave the output population without a synapse."""
    pruned = [masks[name] for name in readouts if name in masks]
    if pruned and len(pruned) == len(readouts) and not any(bool(mask.any()) for mask in pruned):
        raise ModelError(
            f"layer {min(readouts)!r}: found no synapse left before the output, expected some; "
            "lower prune.sparsity or set prune.protect_readout"
        )


def check_layers(masks: Masks) -> None:
    """Raise ModelError for masks that leave a layer without a synapse: what comes after hears nothing."""
    for name, mask in masks.items():
        if not bool(mask.any()):
            raise ModelError(
                f"layer {name!r}: found no synapse left, expected some; lower prune.sparsity, set "
                "prune.allocation or protect the layer"
            )


def kept(masks: MaskSet, sparsity: float) -> int:
    """Synapses of the free layers that live at a weight sparsity of the whole network (at least that)."""
    protected = sum(masks.living(name) for name in masks.protected)
    return int((1.0 - sparsity) * masks.total + 1e-6) - protected


def check_budget(masks: MaskSet, config: PruneConfig) -> None:
    """Raise ConfigError if the protected layers leave nothing to the others."""
    if kept(masks, config.sparsity) < 1:
        share = sum(masks.living(name) for name in masks.protected) / masks.total
        raise ConfigError(
            f"prune.sparsity: found {config.sparsity} where protected layers hold {share:.1%} of the "
            f"{masks.total} weights, expected a sparsity that leaves weights to the other layers"
        )

"""Compresses a trained net without training it: second-order pruning, refit and rounding.

Layers share one ranking of saliencies. Then, in order of execution, each is pruned to its part of the
budget on what the already compressed layers feed it, its survivors refitted to the dense net's drive,
and rounded in GPTQ's order. No labels are used and no gradient step is made.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from pruner.block_order import arranged
from pruner.columns import pooled, run_length, run_sizes, spread
from pruner.compression import Calibration, Compressed, Compression, Rank
from pruner.granularity import Granularity
from pruner.hessian import Moments, Passes, Site, dense_moments, layer_sites, paired_moments
from pruner.homeostasis import recentre
from pruner.importance import importances
from pruner.install import alone, install
from pruner.neuron_choice import Alive, Chain, chains, choose_neurons, consumer_mask
from pruner.problem import Masks, Problem, grouped, living
from pruner.recovery import Pair, gather, sweepable, write_back
from pruner.second_order import Rows, fit, lamp_like, priced, sizes_of, strongest, with_best_first
from pruner.sweep import Hidden, Rules, round_sweep, sweep
from pruner.topology import Prunable, prunable_layers
from runtime.errors import ConfigError, ModelError
from trainer.evaluate import Labeled
from trainer.integer import detach, evaluating
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare
from trainer.quant import WeightQuantizer

logger = logging.getLogger(__name__)


def compress(
    net: SpikingNet, samples: Labeled, wish: Compression, calibration: Calibration | None = None
) -> SpikingNet:
    """A compressed copy of ``net``, batch norms folded; ``samples`` must be training samples."""
    return Calibrated(net, samples, calibration).compress(wish).net


class Calibrated:
    """The second moments of a trained net, to try many sparsities and widths on.

    Deterministic for the same net, samples and number of torch threads. Raises ModelError for a net that is
    quantized already or has values that are not finite, UnsupportedError for one whose layers do not each
    drive one population.
    """

    def __init__(self, net: SpikingNet, samples: Labeled, calibration: Calibration | None = None) -> None:
        began = time.perf_counter()
        calibration = calibration or Calibration()
        if net.quantization is not None:
            raise ModelError("compression: found a net with quantized weights, expected real weights")
        self.net = _folded(net)
        _check_finite(self.net)
        self.calibration, self.samples = calibration, samples
        self._arranged: dict[int, Calibrated] = {}
        self._is_arranged = False
        self.sites = layer_sites(self.net, calibration.decay)
        count = min(calibration.samples, len(samples.x))
        numbers = np.linspace(0, len(samples.x) - 1, count).round().astype(np.int64)
        self.passes = Passes(samples, numbers, calibration.batch_size)
        with evaluating(self.net):
            self._moments = dense_moments(self.net, self.sites, self.passes)
            self._importance = importances(self.net, self.sites, self.passes, calibration.seed)
        self._chains = chains(self.net)
        self._rounds: dict[tuple[object, ...], Masks] = {}
        self.seconds = time.perf_counter() - began
        self.sample_passes = 3 * count
        """One forward pass for the moments, one forward and backward for the importances."""
        logger.info("calibrated on %d samples in %.1f s", count, self.seconds)

    @property
    def layers(self) -> dict[str, Prunable]:
        """The dense layers in order of execution."""
        found = prunable_layers(self.net)
        return {name: found[name] for name in self.sites}

    @property
    def total(self) -> int:
        """Weights of all layers, dead or alive."""
        return sum(layer.weight.numel() for layer in self.layers.values())

    def compress(self, wish: Compression) -> Compressed:
        """A compressed copy of the net; with blocks its hidden neurons stand in another order
        (``pruner.block_order``), and the calibration in that order is counted. Raises ConfigError for a
        budget without a weight."""
        if wish.block == 1 or self._is_arranged:
            return self._compress(wish)
        inner = self._in_order(wish.block)
        done = inner._compress(wish)
        return replace(
            done,
            seconds=done.seconds + inner.seconds,
            sample_passes=done.sample_passes + inner.sample_passes,
        )

    def _in_order(self, block: int) -> Calibrated:
        if block not in self._arranged:
            loads = {}
            for name, moments in self._moments.items():
                squares = moments.moment.diagonal(dim1=1, dim2=2).flatten()
                loads[name] = squares / max(moments.rows, 1)
            inner = Calibrated(arranged(self.net, loads, block), self.samples, self.calibration)
            inner._is_arranged = True
            self._arranged[block] = inner
        return self._arranged[block]

    def _compress(self, wish: Compression) -> Compressed:
        began = time.perf_counter()
        budget = int((1.0 - wish.sparsity) * self.total + 1e-6)
        if budget < len(self.layers):
            raise ConfigError(
                f"compress.sparsity: found {wish.sparsity}, which leaves {budget} of {self.total} "
                f"weights, expected at least one for each of {len(self.layers)} layers"
            )
        work = _Work(self, wish, budget)
        with torch.no_grad(), evaluating(self.net):
            net = work.run()
        kept = {
            name: int((layer.mask != 0).sum())
            for name, layer in prunable_layers(net).items()
            if layer.mask is not None
        }
        done = Compressed(
            net,
            kept,
            1.0 - sum(kept.values()) / self.total,
            {name: int(alive.sum()) for name, alive in work.alive.items()},
            time.perf_counter() - began,
            work.sample_passes,
        )
        logger.info("compressed to %d of %d weights in %.1f s", sum(kept.values()), self.total, done.seconds)
        return done


def _check_finite(net: SpikingNet) -> None:
    """Raise ModelError for parameters no saliency can be made of: neurons hide NaN, which never fires."""
    for name, parameter in net.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(f"compression: found values in {name} that are not finite, expected finite ones")


def _folded(net: SpikingNet) -> SpikingNet:
    copied = detach(copy.deepcopy(net)).eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(True)
    return copied if copied.folded else fold_batch_norm(copied)


class _Work:
    """One wish on its way through the net."""

    def __init__(self, source: Calibrated, wish: Compression, budget: int) -> None:
        self.source, self.wish, self.budget = source, wish, budget
        self.sample_passes = 0
        self._shared = {name: self._problem(name, source._moments[name]) for name in source.sites}
        self.share = self._neuron_share()
        self.alive: Alive = {}

    def run(self) -> SpikingNet:
        masks = self._settled_neurons()
        channels = self.wish.granularity is Granularity.CHANNEL
        chosen = masks if channels else self._allocate(masks)
        net = copy.deepcopy(self.source.net)
        for name, site in self.source.sites.items():
            problem, mask = self._shared[name], {key: chosen[key] for key in self._shared[name].parts}
            if self.wish.sequential and not site.from_input:
                problem = self._problem(name, self._paired(net, site))
                keep = living(mask, problem.parts)
                mask = self._narrow({key: masks[key] for key in problem.parts}, problem.parts, keep)
            install(prunable_layers(net)[name], problem, mask, None)
        swept = self._sweep(net)
        if self.wish.recentre:
            with evaluating(net):
                found = recentre(self.source.net, net, self.source.passes)
            self.sample_passes += 2 * len(found) * len(self.source.passes.numbers)
        if self.wish.bits is not None:
            self._round(net, swept)
        return net

    def _sweep(self, net: SpikingNet) -> dict[str, Chain]:
        """Guarded sweeps over the hidden populations that allow it; these by the name of their producer."""
        found = (
            {c.producers[0]: c for c in self.source._chains if sweepable(net, c)} if self.wish.sweeps else {}
        )
        for chain in found.values():
            hidden = self._hidden(net, self.source.net, chain)
            for number in range(self.wish.sweeps):
                sweep(hidden, self._rules(), number)
                hidden.refit_forward(self.source.calibration.damping)
                logger.info("%s: residue %.4f after sweep %d", chain.population, hidden.loss, number + 1)
                # each neuron is run on every sample, before and after; slopes count as a pass back
                self.sample_passes += 3 * hidden.wanted.shape[2]
            write_back(
                net, chain, hidden, self.source._importance[self.source.sites[chain.consumer].population]
            )
        return found

    def _hidden(self, net: SpikingNet, dense: SpikingNet, chain: Chain) -> Hidden:
        pair = Pair(dense, net, self.source.sites, self.source.passes)
        importance = self.source._importance[self.source.sites[chain.consumer].population]
        hidden = gather(pair, chain, importance)
        self.sample_passes += 2 * hidden.wanted.shape[2]
        return hidden

    def _rules(self) -> Rules:
        wish = self.wish
        return Rules(
            wish.swap, wish.regenerate_by, wish.sweep_damping, wish.block, self.source.calibration.seed
        )

    def _round(self, net: SpikingNet, swept: Mapping[str, Chain]) -> None:
        """Put every layer on its grid, in order of execution, on the masks they have."""
        goal = copy.deepcopy(net)
        quantizers = self._quantizers(net)
        for name, site in self.source.sites.items():
            layer, quantizer = prunable_layers(net)[name], quantizers[name]
            if name in swept and alone(quantizer):
                chain = swept[name]
                last = self.source.sites[chain.consumer].readout
                hidden = self._hidden(net, self.source.net if last else goal, chain)
                scale = round_sweep(hidden, quantizer.width, self._rules())
                write_back(
                    net, chain, hidden, self.source._importance[self.source.sites[chain.consumer].population]
                )
                quantizer.freeze(torch.where(scale > 0, scale, quantizer.rule.dead.double()).float())
                layer.quantizer = quantizer
                continue
            target = goal if name in swept else self.source.net
            problem = self._problem(name, self._paired(net, site, target))
            install(layer, problem, self._masks_of(layer, problem), quantizer)

    def _masks_of(self, layer: Prunable, problem: Problem) -> Masks:
        assert layer.mask is not None
        rows = (layer.mask != 0).flatten(1).chunk(len(problem.parts))
        return {key: grouped(part, own) for (key, part), own in zip(problem.parts.items(), rows, strict=True)}

    def _problem(self, name: str, moments: Moments) -> Problem:
        source, layer = self.source, self.source.layers[name]
        importance = source._importance[source.sites[name].population]
        # a population behind a flattened map has one importance a neuron, its layer one a channel
        importance = importance.view(len(layer.weight), -1).sum(1)
        return Problem.of(name, layer, moments, importance, (source.calibration.damping, self.wish.block))

    def _paired(self, net: SpikingNet, site: Site, target: SpikingNet | None = None) -> Moments:
        self.sample_passes += 2 * len(self.source.passes.numbers)
        with evaluating(net):
            return paired_moments(target or self.source.net, net, site, self.source.passes)

    def _neuron_share(self) -> float:
        """Share of the hidden neurons to keep, a whole power of the half root: few, so rounds are shared."""
        wanted = sum(
            chain.channels * min(self.wish.hears, self.source.layers[chain.producers[0]].weight[0].numel())
            for chain in self.source._chains
        )
        share = 1.0
        if self.wish.granularity is Granularity.CHANNEL:
            return self.budget / self.source.total
        while wanted and share * 0.5**0.25 * wanted >= self.budget:
            share *= 0.5**0.5
        return share

    def _settled_neurons(self) -> Masks:
        """What lives before the first round: never less than the budget, so fewer neurons go where needed.

        Where whole channels are pruned it is all that lives: never more than the budget, and the most.
        """
        whole = self.wish.granularity is Granularity.CHANNEL
        while True:
            self.alive = self._neurons()
            masks = self._start_masks()
            room = self._room(masks)
            if whole and room > self.budget:
                self.share = self._smaller(room)
            elif whole or self.share >= 1.0 or room >= self.budget:
                return masks
            else:
                self.share = min(1.0, self.share * 2.0**0.5)

    def _smaller(self, room: int) -> float:
        """The next share of neurons to try; ConfigError where one of each population is too many."""
        channels = sum(chain.channels for chain in self.source._chains)
        if self.share * channels < 1.0 or not channels:
            raise ConfigError(
                f"compress.sparsity: found {self.wish.sparsity}, which leaves {self.budget} weights, "
                f"expected at least the {room} of the smallest net of whole channels"
            )
        return self.share - 1.0 / channels

    def _room(self, masks: Masks) -> int:
        return sum(
            living({key: masks[key] for key in problem.parts}, problem.parts)
            for problem in self._shared.values()
        )

    def _neurons(self) -> Alive:
        found: tuple[Chain, ...] = self.source._chains
        key = ("neurons", self.share, self.wish.granularity)
        if key not in self.source._rounds:
            rows = {c.consumer: self._shared[c.consumer].parts[c.consumer] for c in found}
            self.source._rounds[key] = choose_neurons(
                found, rows, self.share, round_share=self.wish.round_share, block=self.wish.block
            )
        return self.source._rounds[key]

    def _start_masks(self) -> Masks:
        """What lives before the first round: masks the net came with, less the neurons given up."""
        rows = {}
        for name, layer in self.source.layers.items():
            mask = torch.ones(layer.weight.shape) if layer.mask is None else layer.mask
            rows[name] = (mask != 0).flatten(1)
        for chain in self.source._chains:
            alive = self.alive[chain.population]
            for producer in chain.producers:
                rows[producer] &= alive.repeat_interleave(len(rows[producer]) // len(alive))[:, None]
            layer = self.source.layers[chain.consumer]
            rows[chain.consumer] &= consumer_mask(chain, layer, alive)
        return {
            key: grouped(part, rows[name].chunk(len(problem.parts))[group])
            for name, problem in self._shared.items()
            for group, (key, part) in enumerate(problem.parts.items())
        }

    def _allocate(self, masks: Masks) -> Masks:
        """Masks on the dense net's traces: the readout by its share, the rest by one ranking."""
        every = {key: part for problem in self._shared.values() for key, part in problem.parts.items()}
        last = {
            key
            for name, problem in self._shared.items()
            if self.source.sites[name].readout
            for key in problem.parts
        }
        if len(last) == len(every) or self.wish.rank is Rank.LAMP:
            return self._narrow(masks, every, self.budget, shared=True)
        whole = sum(living({key: masks[key]}, {key: every[key]}) for key in last)
        room = sum(living({key: masks[key]}, {key: every[key]}) for key in every if key not in last)
        keep = max(1, min(int(self._readout_share(last) * whole), self.budget // 3), self.budget - room)
        tail = self._narrow({k: masks[k] for k in last}, {k: every[k] for k in last}, keep)
        used = sum(living({key: tail[key]}, {key: every[key]}) for key in last)
        head = {k: masks[k] for k in every if k not in last}
        return tail | self._narrow(head, {k: every[k] for k in head}, self.budget - used, shared=True)

    def _readout_share(self, last: set[str]) -> float:
        outputs = max(len(self.source.layers[key.partition("#")[0]].weight) for key in last)
        return 1.0 if 1 < outputs <= self.wish.block else self.wish.readout

    def _narrow(self, masks: Masks, parts: Mapping[str, Rows], keep: int, *, shared: bool = False) -> Masks:
        """Rounds of pruning down to ``keep`` weights; ``shared`` rounds are kept for other wishes."""
        count, step, wish = living(masks, parts), 0, self.wish
        while count > keep:
            step, count = step + 1, int(count * wish.round_share)
            last = count <= keep
            rule = (wish.rank, self.share, wish.granularity, wish.round_share, wish.price)
            key = (*rule, self.budget if last else step)
            known = self.source._rounds.get(key) if shared else None
            if known is None:
                known = self._round_of(masks, parts, keep if last else count)
                if shared and not last:
                    self.source._rounds[key] = known
            masks = known
        return dict(masks)

    def _round_of(self, masks: Masks, parts: Mapping[str, Rows], keep: int) -> Masks:
        """The strongest ``keep`` weights once each row is refitted on its mask."""
        saliency, sizes, runs = {}, {}, {}
        for name, part in parts.items():
            layer = self.source.layers[name.partition("#")[0]]
            run = runs[name] = run_length(layer, self.wish.granularity), part.fixed
            single = fit(part.to(torch.float32), masks[name]).saliency
            found = pooled(priced(single, part, self.wish.price), *run)
            found = lamp_like(found) if self.wish.rank is Rank.LAMP else found
            saliency[name] = with_best_first(found)
            sizes[name] = run_sizes(sizes_of(part), masks[name], *run)
        known = strongest(saliency, sizes, keep)
        return {name: spread(mask, masks[name], *runs[name]) for name, mask in known.items()}

    def _quantizers(self, net: SpikingNet) -> dict[str, WeightQuantizer]:
        """The quantizers of ``net``, taken out of its layers until their weights are final."""
        assert self.wish.bits is not None
        prepare(net, self.wish.bits, first=self.wish.first, last=self.wish.last)
        found = {}
        for name, layer in prunable_layers(net).items():
            assert layer.quantizer is not None
            found[name], layer.quantizer = layer.quantizer, None
        return found

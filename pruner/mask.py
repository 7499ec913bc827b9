"""``MaskSet``: which synapses of a network live, and the places where a dead one could come back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pruner.topology import Maskable, prunable_layers
from runtime.errors import FormatError, ModelError
from trainer.models import SpikingNet


class MaskSet:
    """Boolean masks over the synapse layers of a network, or over given layers, by layer name.

    A mask is also the layer's own ``mask`` buffer, so that the forward pass and every exporter see it.
    ``hold`` keeps it through training: weight decay, momentum and Adam's moments would otherwise revive
    pruned weights. Layers named in ``protected`` stay whole.
    """

    def __init__(
        self, net: SpikingNet | Mapping[str, Maskable], protected: frozenset[str] = frozenset()
    ) -> None:
        self.layers: Mapping[str, Maskable] = prunable_layers(net) if isinstance(net, SpikingNet) else net
        if not self.layers:
            raise ModelError("network: found no layer with synapses, expected at least one to prune")
        if unknown := protected - self.layers.keys():
            known = ", ".join(self.layers)
            raise ModelError(
                f"protected layer {min(unknown)!r}: found no such layer, expected one of {known}"
            )
        self.protected = protected
        self.masks: dict[str, Tensor] = {name: _mask_of(layer) for name, layer in self.layers.items()}

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the layers that may be pruned."""
        return tuple(name for name in self.layers if name not in self.protected)

    @property
    def total(self) -> int:
        """Synapses (weights) in all layers, dead or alive."""
        return sum(mask.numel() for mask in self.masks.values())

    def living(self, name: str | None = None) -> int:
        """Living synapses of one layer, or of all."""
        masks = self.masks.values() if name is None else (self.masks[name],)
        return sum(int(mask.sum()) for mask in masks)

    def density(self, name: str | None = None) -> float:
        """Living share of the synapses of one layer, or of all."""
        return self.living(name) / (self.total if name is None else self.masks[name].numel())

    def set(self, masks: Mapping[str, Tensor]) -> None:
        """Replace some masks, hand them to their layers and zero the weights they kill.

        Raises ModelError for a layer or a shape the network does not have; then nothing is changed.
        """
        for name, mask in masks.items():
            if name not in self.masks or mask.shape != self.masks[name].shape:
                known = {key: tuple(one.shape) for key, one in self.masks.items()}
                raise ModelError(
                    f"mask of layer {name!r}: found shape {tuple(mask.shape)}, expected one of {known}"
                )
        self.masks.update({name: mask.bool() for name, mask in masks.items()})
        self.close()

    def note(self, masks: Mapping[str, Tensor]) -> None:
        """Count by ``masks`` from now on, without handing them to the layers: a search does that last."""
        self.masks.update(masks)

    def open(self) -> None:
        """Take the masks out of the forward pass: outputs stay (dead weights are zero), but the next
        backward pass yields gradients of dead synapses too."""
        for layer in self.layers.values():
            layer.set_mask(None)

    def close(self) -> None:
        """Put the masks into the forward pass and zero the weights and gradients outside them."""
        for name, layer in self.layers.items():
            layer.set_mask(self.masks[name].to(layer.weight.device))
        self.zero()

    @torch.no_grad()
    def zero(self) -> None:
        """Zero the weights and gradients of dead synapses."""
        for name, layer in self.layers.items():
            dead = ~self.masks[name].to(layer.weight.device)
            layer.weight.masked_fill_(dead, 0.0)
            if layer.weight.grad is not None:
                layer.weight.grad.masked_fill_(dead, 0.0)

    @torch.no_grad()
    def hold(self, optimizer: torch.optim.Optimizer, past: Mapping[str, Tensor] | None = None) -> None:
        """Zero weights, gradients and every per-weight moment of the optimiser outside the masks.

        ``past`` names, by layer, the synapses whose moments survive when that is fewer than those alive:
        a regenerated synapse starts without a past.
        """
        self.zero()
        for name, layer in self.layers.items():
            dead = ~(self.masks[name] if past is None else past.get(name, self.masks[name]))
            dead = dead.to(layer.weight.device)
            for moment in optimizer.state.get(layer.weight, {}).values():
                if isinstance(moment, Tensor) and moment.shape == layer.weight.shape:
                    moment.masked_fill_(dead, 0.0)

    def save(self, path: Path) -> None:
        """Write the masks as one safetensors file, one boolean tensor a layer."""
        save_file({name: mask.contiguous() for name, mask in self.masks.items()}, path)

    def load(self, path: Path) -> None:
        """Take masks from a file of ``save``. Raises FormatError if it is damaged or of another network."""
        try:
            masks = load_file(path)
        except (OSError, SafetensorError) as error:
            raise FormatError(f"{path}: found no readable masks ({error}), expected safetensors") from error
        if masks.keys() != self.masks.keys():
            raise FormatError(f"{path}: found masks of {sorted(masks)}, expected {sorted(self.masks)}")
        try:
            self.set(masks)
        except ModelError as error:
            raise FormatError(f"{path}: {error}") from error


def _mask_of(layer: Maskable) -> Tensor:
    """The layer's own mask, or all ones."""
    if layer.mask is None:
        return torch.ones(layer.weight.shape, dtype=torch.bool)
    return layer.mask.detach().cpu() != 0

"""What post-training compression is asked for, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from pruner.granularity import BLOCKS, Granularity
from pruner.sweep import RegenerateBy
from trainer.models import SpikingNet
from trainer.quant import WeightBits
from trainer.tables import read_table, require


class Rank(Enum):
    """How saliencies of different layers are compared: by what they do to the scores (the readout by a
    share of its own), or as in LAMP, each over the sum of those in its layer that are not smaller."""

    IMPORTANCE = "importance"
    LAMP = "lamp"


@dataclass(frozen=True)
class Compression:
    """One wish. Raises ConfigError for values that cannot work."""

    sparsity: float = 0.9
    """Weight sparsity over all synapse layers, the readout included."""
    bits: int | str | None = None
    """Width of the weights: 8, 4, 3, 2 or "ternary"; None leaves them real."""
    first: int | str | None = None
    """Width of layers that hear the input, where it differs."""
    last: int | str | None = None
    """Width of layers that feed the output, where it differs."""
    granularity: Granularity = Granularity.WEIGHT
    """What lives and dies together; channels go whole, with all they hear and tell, and nothing else does."""
    readout: float = 0.5
    """Share of the living weights that layers feeding the output keep (of at most a third of the budget);
    all of them where a block holds every output, since a lost one would be a lost neuron."""
    fan_in: int | None = None
    """Hidden neurons go until those left can have this many weights each; 0 keeps all neurons, None means 32,
    and 64 with blocks of 16 (by validation: 98.1 % against 97.7 with 32; seed 0, MNIST 784-800-10, 95 %)."""
    round_share: float = 0.65
    """Share of the weights that a round keeps: eight rounds to 3 %. Rounds are shared by sparsities."""
    price: float = 0.0
    """Weights are ranked by their saliency over this power of how often their input is not zero: 1 ranks by
    what is lost for each addition saved, 0 counts weights only."""
    rank: Rank = Rank.IMPORTANCE
    sequential: bool = True
    """Refit each layer to the dense drive on what the compressed layers before it feed it."""
    sweeps: int = 4
    """Guarded sweeps over hidden populations between two linear layers; the first only refits."""
    swap: float = 0.1
    """Share of a neuron's inputs that a sweep may trade for others, where that helps."""
    regenerate_by: RegenerateBy = RegenerateBy.CRITICALITY_GRADIENT
    """What ranks the inputs that come back in a sweep."""
    recentre: bool = False
    """Set thresholds so that every channel fires as often as in the dense net, before weights are rounded.
    Swept neurons with a bias have little need of it: the sweep moves the bias."""
    sweep_damping: float = 0.01
    """Ridge of a sweep's steps, relative to the mean of the second moment's diagonal."""

    @property
    def block(self) -> int:
        """Neighbouring outputs that keep or lose an input together: the runtime's 1xB blocks."""
        return BLOCKS.get(self.granularity, 1)

    @property
    def hears(self) -> int:
        """What ``fan_in`` comes to."""
        if self.fan_in is not None:
            return self.fan_in
        return 64 if self.granularity is Granularity.BLOCK_16 else 32

    @classmethod
    def sbc(cls, sparsity: float, bits: int | str | None = None) -> Compression:
        """Spiking Brain Compression (arXiv 2506.03996) as far as it is published: every module alone, on the
        dense net's inputs, with the decay in its Hessian, and a LAMP-like split between modules. Where we
        differ: weights go in rounds of a tenth of those left, not one by one."""
        return cls(sparsity, bits, fan_in=0, round_share=0.9, rank=Rank.LAMP, sequential=False, sweeps=0)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> Compression:
        """The wish of a parsed ``[compress]`` table; widths may be numbers or texts."""
        widths = {key: table[key] for key in ("bits", "first", "last") if key in table}
        rest = read_table(cls, {k: v for k, v in table.items() if k not in widths}, "compress")
        for key, value in widths.items():
            known = str(value) in {width.value[0] for width in WeightBits}
            require(known, f"compress.{key}", value, "8, 4, 3, 2 or 'ternary'")
        return replace(rest, **{key: str(value) for key, value in widths.items()})  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        require(0.0 <= self.sparsity < 1.0, "compress.sparsity", self.sparsity, "0 to below 1")
        require(0.0 < self.readout <= 1.0, "compress.readout", self.readout, "above 0 to 1")
        require(self.fan_in is None or self.fan_in >= 0, "compress.fan_in", self.fan_in, "0 or more")
        require(self.price >= 0, "compress.price", self.price, "0 or more")
        require(0.0 < self.round_share < 1.0, "compress.round_share", self.round_share, "between 0 and 1")
        require(self.sweeps >= 0, "compress.sweeps", self.sweeps, "0 or more")
        require(0.0 <= self.swap <= 1.0, "compress.swap", self.swap, "0 to 1")
        require(self.sweep_damping > 0, "compress.sweep_damping", self.sweep_damping, "above 0")
        for bits in (self.bits, self.first, self.last):
            if bits is not None:
                WeightBits.of(bits)


@dataclass(frozen=True)
class Calibration:
    """How the second moments are gathered."""

    samples: int = 65536
    """Training samples, spread evenly over the set; fewer if it has fewer."""
    batch_size: int = 256
    decay: bool = True
    """Filter the inputs by the membrane's leak (SBC); without it steps count as they are (OBS)."""
    damping: float = 1e-3
    """Pull of every weight to its dense value, relative to the mean square of the inputs' traces."""
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("samples", "batch_size"):
            require(getattr(self, key) >= 1, f"compress.calibration.{key}", getattr(self, key), "at least 1")
        require(self.damping >= 0, "compress.calibration.damping", self.damping, "0 or more")


@dataclass(frozen=True)
class Compressed:
    """A compressed copy of a net. ``seconds`` and ``sample_passes`` (samples sent through a net, forward or
    back) are those of this wish alone, without the calibration it shares with others."""

    net: SpikingNet
    living: Mapping[str, int]
    weight_sparsity: float
    neurons: Mapping[str, int]
    seconds: float
    sample_passes: int

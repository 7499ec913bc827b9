"""What training computes in and where: full or mixed precision, CPU or another device.

Mixed precision is torch's autocast around the net alone. Neurons widen what they are given, since a membrane
that is summed over time in 8 bits of mantissa drifts, and the loss is taken outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from runtime.errors import ConfigError
from trainer.config import Precision, TrainConfig
from trainer.held import held, hold

NUMBERS = {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}


def device(config: TrainConfig) -> torch.device:
    """Where to train; ConfigError if torch does not know the device or has none."""
    try:
        place = torch.device(config.device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"train.device: found {config.device!r} and {reason}, expected a device that torch has here"
        ) from error
    return place


def moved(x: Tensor, config: TrainConfig) -> Tensor:
    """Coded input on the training device; one held over time stays one step."""
    if torch.device(config.device).type == "cpu":
        return x
    once = held(x)
    return x.to(config.device) if once is None else hold(once.to(config.device), x.shape[0])


class Arithmetic:
    """The precision of one run. float16 scales the loss so that small gradients survive (Micikevicius et al.,
    ICLR 2018); bfloat16 has float32's range and needs none."""

    def __init__(self, config: TrainConfig) -> None:
        self._kind = torch.device(config.device).type
        self._numbers = NUMBERS.get(config.precision)
        scaled = config.precision is Precision.FLOAT16
        self._scaler = torch.amp.GradScaler(self._kind) if scaled else None

    def reduced(self) -> AbstractContextManager[Any]:
        """Within it layers compute in the chosen numbers."""
        if self._numbers is None:
            return nullcontext()
        return torch.autocast(self._kind, self._numbers)

    def backward(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Gradients of ``loss``, in its own scale when this returns."""
        if self._scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            return
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """One step of the optimizer; left out when scaled gradients overflowed."""
        if self._scaler is None:
            optimizer.step()
            return
        self._scaler.step(optimizer)
        self._scaler.update()

    def memory(self) -> Mapping[str, Any]:
        """The loss scale, as JSON values."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what ``memory`` gave."""
        if self._scaler is not None and memory:
            self._scaler.load_state_dict(dict(memory))

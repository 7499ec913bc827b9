"""Training on several processes: which one this is, and what they must agree on.

``torchrun`` sets RANK and WORLD_SIZE; without them there is one process and nothing here does anything.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel


def world() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0")) if world() > 1 else 0


def is_leader() -> bool:
    """True in the one process that writes."""
    return rank() == 0


def join() -> None:
    """Make the group in which processes exchange tensors, once."""
    if world() > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(leave)


def wait() -> None:
    """Go on when every process is here."""
    if world() > 1:
        join()
        dist.barrier()


def leave() -> None:
    """Give the group back."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def parallel(net: nn.Module) -> nn.Module:
    """The net, its gradients averaged over the processes in every backward pass."""
    if world() == 1:
        return net
    join()
    return DistributedDataParallel(net)


@dataclass(frozen=True)
class Share:
    """This process's part of a batch: positions in it, and ``factor``, by which its mean loss is multiplied
    so that the average over processes is the mean over the batch."""

    positions: NDArray[np.int64]
    factor: float

    def of(self, count: int) -> float:
        """What a sum over these positions stands for, of ``count`` samples, when all processes' are added."""
        return self.factor * count / (world() * len(self.positions))


def share(count: int) -> Share:
    """The part of a batch of ``count``. One with fewer samples than processes is done whole by each."""
    n = world()
    if count < n:
        return Share(np.arange(count), 1.0)
    positions = np.arange(rank(), count, n)
    return Share(positions, n * len(positions) / count)


def total(values: Tensor) -> Tensor:
    """The sum of ``values`` over the processes, in place."""
    if world() > 1:
        join()
        dist.all_reduce(values)
    return values

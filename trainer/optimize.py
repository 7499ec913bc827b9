"""The optimizer and the course of its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from trainer.config import OptimizerKind, Schedule, TrainConfig
from trainer.neuron import Decay


def make_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or SGD over weights, and over learned shifts at their own rate and without decay."""
    shifts = {id(m.k) for m in net.modules() if isinstance(m, Decay) and m.k is not None}
    trainable = [p for p in net.parameters() if p.requires_grad]
    groups = [{"params": [p for p in trainable if id(p) not in shifts], "weight_decay": config.weight_decay}]
    if shifts:
        own = [p for p in trainable if id(p) in shifts]
        groups.append({"params": own, "weight_decay": 0.0, "lr_factor": config.leak_lr_factor})
    if config.optimizer is OptimizerKind.ADAM:
        return torch.optim.Adam(groups, lr=config.lr, fused=True)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, config: TrainConfig, done: float) -> float:
    """Set the rate for a run ``done`` (0..1) of the way through its steps; returns it."""
    rate = SCHEDULES[config.schedule](done) * config.lr
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_factor", 1.0)
    return rate


def _cosine(done: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _constant(done: float) -> float:
    return 1.0


SCHEDULES = {Schedule.COSINE: _cosine, Schedule.CONSTANT: _constant}

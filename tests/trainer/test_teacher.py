"""A teacher's scores beside the labels."""

from __future__ import annotations

import copy

import pytest
import torch

from runtime.errors import ConfigError
from runtime.spec import Readout
from tests.builders.nets import mlp
from trainer.config import LossKind
from trainer.loss import Loss
from trainer.teacher import Teacher

LOSS = Loss(LossKind.CROSS_ENTROPY, Readout.MEMBRANE_SUM)
X = 255 * torch.rand(5, 6, 12, generator=torch.Generator().manual_seed(0))


def blended(student, teacher):
    """The blend for labels that cost 0.7, and the student's gradients of it."""
    student.train().zero_grad()
    value = teacher.blend(torch.tensor(0.7), LOSS, student(X), X)
    value.backward()
    return float(value.detach()), [p.grad.clone() for p in student.parameters() if p.grad is not None]


def test_a_student_that_says_what_the_teacher_says_pays_for_the_labels_alone():
    student = mlp(readout=Readout.MEMBRANE_SUM)
    value, gradients = blended(student, Teacher(copy.deepcopy(student), share=0.25))
    assert value == pytest.approx(0.75 * 0.7, abs=1e-6)
    assert max(float(g.abs().max()) for g in gradients) < 1e-5


def test_the_teachers_part_is_a_divergence_and_falls_along_its_gradient():
    student = mlp(readout=Readout.MEMBRANE_SUM)
    teacher = Teacher(copy.deepcopy(student), share=1.0)
    last = [p for p in student.parameters() if p.requires_grad and p.dim() == 2][-1]
    with torch.no_grad():
        last.mul_(-1.0)
    before, _ = blended(student, teacher)
    assert before > 0.0
    assert last.grad.abs().max() > 0.0
    with torch.no_grad():
        last.sub_(1e-2 * last.grad / last.grad.norm())
    assert blended(student, teacher)[0] < before


def test_a_teacher_learns_nothing_and_keeps_its_mode():
    teacher = mlp(readout=Readout.MEMBRANE_SUM).train()
    blended(mlp(readout=Readout.MEMBRANE_SUM), Teacher(teacher))
    assert all(p.grad is None for p in teacher.parameters())
    assert teacher.training


def test_shares_and_temperatures_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="share"):
        Teacher(mlp(), share=1.5)
    with pytest.raises(ConfigError, match="temperature"):
        Teacher(mlp(), temperature=0.0)

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sgaplus.training.initialisation import fresh_model
from sgaplus.training.trainer import Trainer
from tests.unit.training.tiny import CPU, TINY


def test_the_auxiliary_loss_moves_the_quantiles_and_nothing_else_does(photographs):
    trainer = Trainer(replace(TINY, aux_lr=0.1), fresh_model(TINY), CPU[0])
    quantiles = trainer.model.entropy_bottleneck.quantiles
    before, aux = quantiles.detach().clone(), trainer.model.aux_loss().item()
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for step in range(20):
        trainer.step(step, crops)
    assert not torch.equal(quantiles, before)
    assert trainer.model.aux_loss().item() < aux
    assert not any(quantiles is weight for weight in trainer.weights)


def test_muon_moves_every_kernel_along_an_orthogonal_matrix(photographs):
    recipe = replace(TINY, optimizer="muon", warmup_steps=0, kernel_lr=0.01)
    trainer = Trainer(recipe, fresh_model(recipe), CPU[0])
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.step(0, torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    for name in ("g_a.2.weight", "g_s.2.weight", "h_a.0.weight"):
        kernel = dict(trainer.model.named_parameters())[name]
        step = (kernel - before[name]).detach().permute(0, 2, 3, 1).reshape(kernel.shape[0], -1) / 0.01
        singular = torch.linalg.svdvals(step.double())
        assert 0.3 < singular.min() <= singular.max() < 1.5, name  # Newton-Schulz gets near 1
    changed = [name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) >= len(before) - 2


def test_gradients_are_clamped_and_scaled():
    trainer = Trainer(replace(TINY, clip=1.0), fresh_model(TINY), CPU[0])
    weight = trainer.weights[0]
    weight.grad = torch.full_like(weight, 3.0)
    trainer._clip()
    assert (weight.grad == 1).all()
    trainer.recipe = replace(TINY, clip=None, clip_norm=0.15)
    trainer._clip()
    assert weight.grad.norm().item() == pytest.approx(0.15, rel=1e-4)

"""A training of a second, and ways to look at its result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sgaplus.training.job import TrainingOptions
from sgaplus.training.recipe import Recipe
from tests.conftest import Photograph

CPU = [torch.device("cpu")]
TINY = Recipe(
    0.05,
    N=8,
    M=8,
    steps=60,
    batch_size=4,
    crop=64,
    lr=2e-3,
    warmup_steps=5,
    latent_gain=10.0,
    precision="float32",
)
SHORT = replace(TINY, steps=200, batch_size=2)
OPTIONS = TrainingOptions(
    log_every=100, evaluate_every=10000, save_seconds=300.0, seconds=None, workers=0, cache_bytes=10**9, compile=False
)


def noise() -> list[Photograph]:
    """Two pictures of noise, which a process of its own can make too."""
    return [Photograph(np.random.default_rng(i).integers(0, 256, (80, 100, 3), dtype=np.uint8)) for i in range(2)]


def state_in(folder: Path) -> Path:
    """The one saved state in a folder."""
    (state,) = folder.glob("state_*.pth")
    return state


def weights(model) -> torch.Tensor:
    return torch.cat([value.detach().flatten().double() for value in model.state_dict().values()])

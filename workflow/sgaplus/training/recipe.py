"""The recipe of a trained model: the settings that decide its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The settings that decide a model's weights. Defaults are the paper's (section 4.1).

    Attributes:
        lmbda: Weight of the distortion.
        N, M: Channels of the transforms and of the latents.
        steps: Optimiser steps.
        batch_size: Crops per step.
        crop: Side of the square crops in pixels, a multiple of 16.
        vary_crops: Whether the crops of a step are up to 48 pixels smaller, in steps of 16: models that see one size
            learn where its edges lie, and code other sizes worse.
        crops_per_image: Crops that are taken of one image in a step.
        optimizer: ``adam``; or ``muon`` for the convolutions' kernels and Adam for the rest.
        lr: Adam's learning rate.
        kernel_lr: Muon's learning rate.
        aux_lr: Learning rate of the quantiles, which the auxiliary loss trains by Adam.
        lr_schedule: ``constant``, or ``cosine`` (to 0 at the last step), after the warm-up.
        warmup_steps: Steps over which the learning rates rise linearly from 0.
        clip: Gradients are clamped element-wise to +-clip; None for no clamping.
        clip_norm: Gradients are scaled down to this norm; None for no scaling.
        latent_gain: Scales up the last analysis layer, and down the first synthesis layer, of a fresh
            model: latents start larger than the quantisation noise, which saves the first thousand steps.
        precision: ``float32``, ``bfloat16`` for the layers between pixels and latents, or ``auto`` for
            bfloat16 where the device computes with it.
        seed: Seed of weights, crops and noise.
    """

    lmbda: float
    N: int
    M: int
    steps: int
    batch_size: int = 32
    crop: int = 256
    vary_crops: bool = False
    crops_per_image: int = 1
    optimizer: str = "adam"
    lr: float = 1e-4
    kernel_lr: float = 0.01
    aux_lr: float = 1e-3
    lr_schedule: str = "constant"
    warmup_steps: int = 1000
    clip: float | None = 1.0
    clip_norm: float | None = None
    latent_gain: float = 1.0
    precision: str = "auto"
    seed: int = 0

    def rate_factor(self, step: int) -> float:
        """Factor on the learning rates in a step."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.lr_schedule == "constant":
            return warm
        return warm * (1 + math.cos(math.pi * step / self.steps)) / 2

    @classmethod
    def of(cls, model: Mapping[str, Any], training: Mapping[str, Any]) -> Recipe:
        """The recipe of a model's entry in the configuration, whose settings go before the section ``training``."""
        settings = {**training, **model}
        return cls(**{key: value for key, value in settings.items() if key in cls.__annotations__})

    def is_that_of(self, saved: Mapping[str, Any]) -> bool:
        """Whether saved settings equal this recipe; a setting that is not saved had today's default."""
        defaults = {each.name: each.default for each in fields(self) if each.default is not MISSING}
        return asdict(self) == {**defaults, **saved}


def notes(folder: str | Path, models: Mapping[str, Any], training: Mapping[str, Any], code: str) -> Iterator[str]:
    """Notes for the user before a run, a line each: models that are trained anew, and kept models of other code.

    Args:
        folder: The folder of the run's models.
        models: Entries of the models that are trained here, by name.
        training: The section ``training`` of the configuration.
        code: Version of the code that trains.
    """
    older = []
    for name, entry in models.items():
        card = Path(folder, name, "model.json")
        if card.exists() and card.with_suffix(".pth").exists():
            made = json.loads(card.read_text())
            changes = _changes(made, entry, training)
            if changes:
                yield (
                    f"models.{name}: its recipe changed ({', '.join(changes)}), so it is trained anew. What was "
                    f"trained before stays in {card.parent}, and comes back with its recipe."
                )
            elif made.get("code") != code:
                older.append(name)
    if older:
        yield (
            f"Trained by another version of the code, and kept: {', '.join(older)}. To train one anew, delete its "
            f"folder, such as {Path(folder, older[0])}."
        )


def _changes(made: Mapping[str, Any], entry: Mapping[str, Any], training: Mapping[str, Any]) -> Sequence[str]:
    """The differences between a trained model's card and its entry, such as ``steps 20 -> 30``."""
    before = asdict(Recipe.of(made["model"], made["training"]))
    now = asdict(Recipe.of(entry, training))
    for key in ("dataset", "start_from"):
        before[key], now[key] = made["model"].get(key), entry.get(key)
    return [f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key]]

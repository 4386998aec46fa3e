"""Training a mean-scale hyperprior with the paper's loss: bits per pixel + lambda * 255^2 * MSE."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor
from tqdm import tqdm

from sgaplus.errors import TrainingError
from sgaplus.files import replacing
from sgaplus.hyperprior import load_state
from sgaplus.metrics import PEAK, psnr

METRICS = ("step", "loss", "bpp", "psnr", "lr", "seconds")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Defaults are the paper's (section 4.1), but for the number of steps.

    Attributes:
        lmbda: Weight of the distortion.
        N, M: Channels of the transforms and of the latents.
        steps: Optimiser steps.
        batch_size: Crops per step.
        crop: Side of the square crops in pixels, a multiple of 64.
        lr: Learning rate.
        lr_schedule: ``constant``, or ``cosine`` (to 0 at the last step), after the warm-up.
        warmup_steps: Steps over which the learning rate rises linearly from 0.
        clip: Gradients are clamped element-wise to +-clip.
        clip_norm: Gradients are scaled down to this norm; None for not at all.
        latent_gain: Scales up the last analysis layer, and down the first synthesis layer, of a fresh
            model: latents start larger than the quantisation noise, which saves the first thousand steps.
        seed: Seed of weights, crops and noise.
        log_every: Steps between rows of the metrics.
    """

    lmbda: float
    N: int
    M: int
    steps: int
    batch_size: int = 32
    crop: int = 256
    lr: float = 1e-4
    lr_schedule: str = "constant"
    warmup_steps: int = 1000
    clip: float = 1.0
    clip_norm: float | None = None
    latent_gain: float = 1.0
    seed: int = 0
    log_every: int = 100

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.lr_schedule == "constant":
            return self.lr * warm
        return self.lr * warm * (1 + math.cos(math.pi * step / self.steps)) / 2


def fresh_model(recipe: Recipe) -> MeanScaleHyperprior:
    """A model with random weights from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    model = MeanScaleHyperprior(recipe.N, recipe.M)
    with torch.no_grad():
        model.g_a[-1].weight.mul_(recipe.latent_gain)
        model.g_s[0].weight.div_(recipe.latent_gain)
    return model


def start_model(recipe: Recipe, start_from: str | Path | None) -> MeanScaleHyperprior:
    """A fresh model, or another trained model's weights.

    Raises:
        CodecError: the file is not a model.
        TrainingError: its widths are not the recipe's.
    """
    if start_from is None:
        return fresh_model(recipe)
    model = MeanScaleHyperprior.from_state_dict(load_state(start_from))
    if (model.N, model.M) != (recipe.N, recipe.M):
        raise TrainingError(
            f"{start_from}: has N = {model.N}, M = {model.M}, and the model that starts from it has "
            f"N = {recipe.N}, M = {recipe.M}. Give both the same widths, or drop start_from."
        )
    return model


class Crops:
    """Random square crops of photographs, flipped left to right half of the time.

    Args:
        images: uint8, (H, W, 3) each.
        side: Side of the crops in pixels.
        seed: Seed of the crops.

    Raises:
        TrainingError: no image is as large as a crop.
    """

    def __init__(self, images: Sequence[np.ndarray], side: int, seed: int) -> None:
        self.images = [image for image in images if min(image.shape[:2]) >= side]
        if not self.images:
            raise TrainingError(f"no training image is {side} pixels high and wide. Lower `crop`, or add larger ones.")
        self.side = side
        self.random = np.random.default_rng(seed)

    def batch(self, size: int) -> Tensor:
        """(size, 3, side, side) in [0, 1]."""
        crops = np.stack([self._crop() for _ in range(size)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / PEAK

    def _crop(self) -> np.ndarray:
        image = self.images[self.random.integers(len(self.images))]
        top = self.random.integers(image.shape[0] - self.side + 1)
        left = self.random.integers(image.shape[1] - self.side + 1)
        crop = image[top : top + self.side, left : left + self.side]
        return crop[:, ::-1] if self.random.integers(2) else crop


def rate_distortion(model: MeanScaleHyperprior, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean bits per pixel, and mean squared error on the 8-bit scale, under uniform noise."""
    out = model(x)
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    bits = -torch.log2(out["likelihoods"]["y"]).sum() - torch.log2(out["likelihoods"]["z"]).sum()
    return bits / pixels, PEAK**2 * (out["x_hat"] - x).square().mean()


def train(
    recipe: Recipe,
    images: Sequence[np.ndarray],
    device: torch.device,
    start_from: str | Path | None = None,
    label: str = "train",
) -> tuple[MeanScaleHyperprior, list[dict[str, float]]]:
    """Train a model.

    Args:
        recipe: Widths, loss and optimisation.
        images: Training photographs, uint8, (H, W, 3) each.
        device: Where to train.
        start_from: Model file whose weights to start from.
        label: What the progress bar calls the work.

    Returns:
        The model, ready to code, and one row of :data:`METRICS` per ``log_every`` steps.

    Raises:
        TrainingError: no usable image, other widths in ``start_from``, or a loss that is not finite.
    """
    model = start_model(recipe, start_from).to(device, memory_format=torch.channels_last).train()
    crops = Crops(images, recipe.crop, recipe.seed)
    torch.manual_seed(recipe.seed)  # the noise of quantisation
    weights = [weight for name, weight in model.named_parameters() if not name.endswith("quantiles")]
    optimizer = torch.optim.Adam(weights, lr=recipe.lr)
    rows: list[dict[str, float]] = []
    start = time.perf_counter()
    with tqdm(range(recipe.steps), desc=label, unit="step", mininterval=1) as bar:
        for step in bar:
            x = crops.batch(recipe.batch_size).to(device, memory_format=torch.channels_last)
            bpp, mse = rate_distortion(model, x)
            loss = bpp + recipe.lmbda * mse
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            _clip(weights, recipe)
            lr = recipe.learning_rate(step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            if step % recipe.log_every == 0 or step == recipe.steps - 1:
                values = (step, loss.item(), bpp.item(), psnr(mse.detach()).item(), lr, time.perf_counter() - start)
                rows.append(dict(zip(METRICS, values, strict=True)))
                _require_finite(step, rows[-1]["loss"], recipe)
                bar.set_postfix_str("loss {loss:.3f}, {bpp:.3f} bpp, {psnr:.2f} dB".format(**rows[-1]), refresh=False)
    model = model.cpu().eval()
    model.zero_grad(set_to_none=True)
    model.update(force=True, update_quantiles=True)
    return model, rows


def write_metrics(rows: Sequence[Mapping[str, float]], path: str | Path) -> None:
    """Write the metrics of a training as CSV, all or nothing."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, METRICS)
        writer.writeheader()
        writer.writerows(rows)


def _clip(weights: Sequence[torch.nn.Parameter], recipe: Recipe) -> None:
    torch.nn.utils.clip_grad_value_(weights, recipe.clip)
    if recipe.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip_norm)


def _require_finite(step: int, loss: float, recipe: Recipe) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at step {step} (lambda {recipe.lmbda:g}, lr {recipe.lr:g}). "
            "Lower the model's `lr`, or set `clip_norm`."
        )

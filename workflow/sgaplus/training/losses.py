"""The two parts of the paper's training loss, which is bits per pixel + lambda * 255^2 * MSE."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from compressai.models.google import MeanScaleHyperprior
from torch import Tensor

from sgaplus.codec.latents import cropped
from sgaplus.metrics import PEAK


def rate_distortion(model: MeanScaleHyperprior, x: Tensor, precision: str = "float32") -> tuple[Tensor, Tensor]:
    """Bits per pixel, and mean squared error on the 8-bit scale, under uniform noise.

    The layers between pixels and latents run in ``precision``. Latents, hyper-latents, their likelihoods
    and the layers next to them stay in float32: bfloat16 would round a latent of 100 by up to a quarter.

    Args:
        model: In training mode.
        x: (B, 3, H, W) in [0, 1], H and W multiples of 16.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        Two float32 scalars.
    """
    wide = nullcontext if precision == "float32" else lambda: torch.autocast(x.device.type, torch.bfloat16)
    with wide():
        features = model.g_a[:-1](x)
    y = model.g_a[-1](features.float())
    z_hat, z_likelihoods = model.entropy_bottleneck(model.h_a(y))
    scales, means = cropped(model.h_s(z_hat), *y.shape[2:]).chunk(2, 1)
    y_hat, y_likelihoods = model.gaussian_conditional(y, scales, means=means)
    features = model.g_s[0](y_hat)
    with wide():
        x_hat = model.g_s[1:](features)
    bits = -torch.log2(y_likelihoods).sum() - torch.log2(z_likelihoods).sum()
    return bits / (x.shape[0] * x.shape[2] * x.shape[3]), PEAK**2 * (x_hat.float() - x).square().mean()
